"""The HTTP application: every route and the middleware around them."""

from collections.abc import Sequence
from typing import Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from app.api.admin.model_routes import AdminModelRoutes
from app.api.admin.pull_routes import AdminPullRoutes
from app.api.admin.status_routes import POLLED, StatusRoutes
from app.api.errors import answer_corral_error, answer_http_exception
from app.api.middleware.auth import AuthMiddleware
from app.api.middleware.body_limit import BodyLimitMiddleware
from app.api.middleware.drain import DrainGate, DrainMiddleware
from app.api.middleware.keys import KeyRing
from app.api.middleware.origin import OriginMiddleware
from app.api.middleware.request_log import RequestLogMiddleware
from app.api.ollama.blob_routes import BLOB_PATHS, BlobRoutes
from app.api.ollama.model_routes import OllamaModelRoutes
from app.api.ollama.pull_routes import OllamaPullRoutes
from app.api.ollama.routes import OllamaRoutes
from app.api.ollama.store_routes import StoreRoutes
from app.api.openai.conversations.routes import ConversationRoutes
from app.api.openai.decode import Limits
from app.api.openai.responses.routes import ResponseRoutes
from app.api.openai.routes import OpenAIRoutes
from app.api.openai.stored_completions import CompletionRoutes
from app.api.openai.text_routes import TextRoutes
from app.api.ops import FrontPage, OpsRoutes
from app.api.rerank.routes import RerankRoutes
from app.config.effective import EffectiveSetting
from app.core.errors import CorralError
from app.services.embeddings import EmbeddingService
from app.services.generation import GenerationService
from app.services.models import ModelService
from app.services.ports import GenerationMetrics, ModelPool
from app.services.pulls import PullService
from app.services.rerank import RerankService
from app.services.responses.service import ResponseService
from app.services.status import StatusService
from app.services.storage import StorageService
from app.services.texts import TextService
from app.services.uploads import UploadService
from app.storage.store import Store
from app.telemetry.journal import Journal

_EXPOSED = ("x-request-id", "openai-processing-ms", "x-corral-ignored", "retry-after")


class HttpMetrics(GenerationMetrics, Protocol):
    """What the HTTP layer reports, and the text that `/metrics` answers with."""

    def observe_http(self, route: str, method: str, status: int, seconds: float) -> None: ...

    def render(self) -> tuple[bytes, str]:
        """Body and content type."""
        ...


class Site(FrontPage, Protocol):
    """The browser UI's files; `paths` are open without a key."""

    @property
    def paths(self) -> frozenset[str]: ...

    def routes(self) -> list[Route]: ...


class ApiSettings(Protocol):
    """The settings the HTTP layer reads."""

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
    def max_embedding_inputs(self) -> int: ...

    @property
    def max_loaded_models(self) -> int: ...

    @property
    def sse_ping_interval(self) -> float: ...


def create_api(
    *,
    generation: GenerationService,
    embeddings: EmbeddingService,
    models: ModelService,
    storage: StorageService,
    texts: TextService,
    ranking: RerankService,
    pulls: PullService,
    uploads: UploadService,
    responses: ResponseService,
    store: Store,
    pool: ModelPool,
    metrics: HttpMetrics,
    settings: ApiSettings,
    effective: Sequence[EffectiveSetting],
    status: StatusService,
    journal: Journal,
    site: Site,
    fingerprint: str,
    keys: KeyRing,
    gate: DrainGate | None = None,
) -> Starlette:
    """Build the ASGI application around the built services; call it with the event loop running
    or not.

    The services are made with `GenerationService(pool, metrics, queue_timeout=...)`,
    `EmbeddingService(pool)`, `ModelService(pool)`, `StorageService(pool, dir, reload)`,
    `TextService(pool)`, `RerankService(pool)`, `PullService(...)`, `UploadService(blobs)` and
    `ResponseService(generation, pool, store, ...)`. `store` is what is kept.
    `effective` are the settings as they are shown, `journal` gets a line for each request, `site`
    is the browser UI.
    `fingerprint` names the llama.cpp build ("b" and a number), `keys` says who is let in. The
    application has no lifespan of its own: the composition starts and stops the pool. On SIGTERM it
    calls `gate.close()`, waits for `gate.wait_idle()` up to the drain timeout, and then stops. The
    server's access log is not needed: one line for each request comes from here (structlog event
    "request").
    """
    gate = gate or DrainGate()
    ops = OpsRoutes(pool, metrics, gate, store, site)
    watching = StatusRoutes(
        status=status,
        journal=journal,
        settings=effective,
        state=ops.describe_state,
        fingerprint=fingerprint,
        ping_interval=settings.sse_ping_interval,
    )
    limits = Limits(max_n=settings.max_n, max_messages=settings.max_messages)
    openai = [
        *OpenAIRoutes(
            generation=generation,
            embeddings=embeddings,
            models=models,
            limits=limits,
            max_json_depth=settings.max_json_depth,
            max_embedding_inputs=settings.max_embedding_inputs,
            ping_interval=settings.sse_ping_interval,
            fingerprint=fingerprint,
            completions=store.completions,
        ).routes(),
        *TextRoutes(texts, limits, settings.max_json_depth).routes(),
    ]
    rerank = RerankRoutes(ranking, settings.max_embedding_inputs, settings.max_json_depth).routes()
    kept = [
        *ResponseRoutes(
            responses=responses,
            max_json_depth=settings.max_json_depth,
            ping_interval=settings.sse_ping_interval,
            note_delete=store.note_delete,
        ).routes(),
        *ConversationRoutes(
            store.conversations, settings.max_json_depth, store.note_delete
        ).routes(),
        *CompletionRoutes(store.completions, settings.max_json_depth, store.note_delete).routes(),
    ]
    ollama = [
        *OllamaRoutes(
            generation=generation,
            embeddings=embeddings,
            models=models,
            max_messages=settings.max_messages,
            max_json_depth=settings.max_json_depth,
            max_embedding_inputs=settings.max_embedding_inputs,
            ping_interval=settings.sse_ping_interval,
        ).routes(),
        *OllamaModelRoutes(models, settings.max_json_depth).routes(),
        *StoreRoutes(models, storage, settings.max_json_depth).routes(),
        *BlobRoutes(uploads).routes(),
        *OllamaPullRoutes(pulls, settings.max_json_depth, settings.sse_ping_interval).routes(),
    ]
    admin = [
        *AdminModelRoutes(
            models, storage, settings.max_loaded_models, settings.max_json_depth
        ).routes(),
        *AdminPullRoutes(pulls, settings.max_json_depth, settings.sse_ping_interval).routes(),
        *watching.routes(),
    ]
    open_routes = ops.routes()
    routes = [*openai, *kept, *rerank, *ollama, *admin, *open_routes, *site.routes()]
    application = Starlette(
        routes=routes,
        middleware=_make_middleware(
            routes,
            site.paths.union(route.path for route in open_routes),
            metrics,
            journal,
            settings=settings,
            keys=keys,
            gate=gate,
        ),
        exception_handlers={
            CorralError: answer_corral_error,
            HTTPException: answer_http_exception,
        },
    )
    application.router.redirect_slashes = False
    application.state.paths = {route.path for route in routes}
    return application


def _make_middleware(
    routes: Sequence[Route],
    open_paths: frozenset[str],
    metrics: HttpMetrics,
    journal: Journal,
    *,
    settings: ApiSettings,
    keys: KeyRing,
    gate: DrainGate,
) -> list[Middleware]:
    """From the outside in. `open_paths` need no key."""
    polled = open_paths | POLLED
    layers = [
        Middleware(
            RequestLogMiddleware,
            metrics=metrics,
            journal=journal,
            routes=routes,
            quiet_paths=polled | {"/admin/models", "/admin/pulls"},
        )
    ]
    origins = [origin for origin in settings.cors_origins if origin != "none"]
    if origins:
        layers.append(
            Middleware(
                CORSMiddleware,
                allow_origins=origins,
                allow_methods=["GET", "POST", "OPTIONS"],
                allow_headers=["*"],
                expose_headers=_EXPOSED,
                max_age=3600,
            )
        )
    return [
        *layers,
        Middleware(DrainMiddleware, gate=gate, open_paths=polled),
        Middleware(AuthMiddleware, keys=keys, open_paths=open_paths),
        Middleware(OriginMiddleware, origins=origins, has_keys=not keys.is_open),
        Middleware(BodyLimitMiddleware, max_bytes=settings.max_body_bytes, free_paths=BLOB_PATHS),
    ]
