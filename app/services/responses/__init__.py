"""Responses: answers that are made of items, kept, and followed by whoever asks."""
