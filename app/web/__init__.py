"""The browser's side: the built files of the UI, and how they are served."""
