"""The model list, by id or alias."""

from app.core.models import ModelInfo
from app.services.ports import ModelPool


class ModelService:
    def __init__(self, pool: ModelPool) -> None:
        self._pool = pool

    def all(self) -> tuple[ModelInfo, ...]:
        return self._pool.models()

    def get(self, name: str) -> ModelInfo:
        """Raises ModelNotFound."""
        return self._pool.find(name)
