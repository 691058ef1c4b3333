"""Text generation: from a neutral request to a stream of neutral events."""

from app.services.ports import GenerationMetrics, ModelPool


class GenerationService:
    """Answers GenerationRequests with the models of a pool."""

    def __init__(
        self, pool: ModelPool, metrics: GenerationMetrics, *, queue_timeout: float | None = None
    ) -> None:
        self._pool = pool
        self._metrics = metrics
        self._queue_timeout = queue_timeout
