"""A load client for any OpenAI-compatible server; it imports nothing else of the application."""
