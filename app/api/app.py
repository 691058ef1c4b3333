"""The HTTP application: every route and the middleware around them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr
from starlette.applications import Starlette

from app.api.middleware.drain import DrainGate
from app.services.embeddings import EmbeddingService
from app.services.generation import GenerationService
from app.services.models import ModelService
from app.services.ports import GenerationMetrics, ModelPool


class HttpMetrics(GenerationMetrics, Protocol):
    """What the HTTP layer reports, and the text that `/metrics` answers with."""

    def observe_http(self, route: str, method: str, status: int, seconds: float) -> None: ...

    def render(self) -> tuple[bytes, str]:
        """Body and content type."""
        ...


class ApiSettings(Protocol):
    """The settings the HTTP layer reads."""

    @property
    def api_key(self) -> SecretStr | None: ...

    @property
    def api_keys_file(self) -> Path | None: ...

    @property
    def cors_origins(self) -> Sequence[str]: ...

    @property
    def max_body_bytes(self) -> int: ...

    @property
    def max_json_depth(self) -> int: ...

    @property
    def max_messages(self) -> int: ...

    @property
    def max_n(self) -> int: ...

    @property
    def drain_timeout(self) -> float: ...

    @property
    def sse_ping_interval(self) -> float: ...


def create_api(
    *,
    generation: GenerationService,
    embeddings: EmbeddingService,
    models: ModelService,
    pool: ModelPool,
    metrics: HttpMetrics,
    settings: ApiSettings,
    fingerprint: str,
    gate: DrainGate | None = None,
) -> Starlette:
    """Build the ASGI application around the built services; call it with the event loop running
    or not.

    The services are made with `GenerationService(pool, metrics, queue_timeout=...)`,
    `EmbeddingService(pool)` and `ModelService(pool)`. `fingerprint` names the llama.cpp build
    ("b" and a number). The application has no lifespan of its own: the composition starts and
    stops the pool. On SIGTERM it calls `gate.close()`, waits for `gate.wait_idle()` up to the
    drain timeout, and then stops. The server's access log is not needed: one line for each
    request comes from here (structlog event "request").
    """
    raise NotImplementedError
