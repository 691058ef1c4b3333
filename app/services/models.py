"""The model list, by id or alias."""

from app.core.errors import ModelNotFound
from app.core.models import ModelInfo
from app.services.ports import ModelPool

_LATEST = ":latest"


def find_model(pool: ModelPool, name: str) -> ModelInfo:
    """By id or alias, with or without `:latest`. Raises ModelNotFound."""
    other = name.removesuffix(_LATEST) if name.endswith(_LATEST) else name + _LATEST
    for candidate in (name, other):
        try:
            return pool.find(candidate)
        except ModelNotFound:
            continue
    raise ModelNotFound(f"The model '{name}' does not exist.", param="model")


class ModelService:
    def __init__(self, pool: ModelPool) -> None:
        self._pool = pool

    def all(self) -> tuple[ModelInfo, ...]:
        return self._pool.models()

    def get(self, name: str) -> ModelInfo:
        return find_model(self._pool, name)
