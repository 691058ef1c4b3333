"""States of sequences kept for later prompts that begin alike."""
