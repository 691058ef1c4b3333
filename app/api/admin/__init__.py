"""The operators' API: models and downloads of a running server."""
