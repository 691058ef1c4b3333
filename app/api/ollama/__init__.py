"""Ollama's API under `/api`, and the routes of others that share its paths."""
