"""Conversations on disk: SQLite beside the models, or PostgreSQL."""
