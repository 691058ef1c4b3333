"""Embeddings: from a neutral request to unit vectors."""

from app.services.ports import ModelPool


class EmbeddingService:
    def __init__(self, pool: ModelPool) -> None:
        self._pool = pool
