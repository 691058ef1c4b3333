"""The model list, by id or alias."""

from app.services.ports import ModelPool


class ModelService:
    def __init__(self, pool: ModelPool) -> None:
        self._pool = pool
