"""Builds every object once and connects them; the only place that knows all rooms."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from starlette.applications import Starlette

from app import __version__
from app.api.app import create_api
from app.api.middleware.drain import DrainGate
from app.api.middleware.keys import make_key_ring
from app.catalog.blobs import BlobStore
from app.catalog.entries import ModelEntry, read_catalog
from app.catalog.file_pins import PINS
from app.catalog.pulls import Pulls
from app.config.effective import list_settings
from app.config.hardware import usable_cores
from app.config.manifest import Manifest, read_manifest
from app.config.settings import Settings
from app.core.errors import ConfigurationError, CorralError
from app.core.models import ModelInfo, ModelState
from app.engine.prefix.store import PrefixStore
from app.llama import library
from app.llama.context import LlamaRuntime
from app.pool.budget import decide_limit
from app.pool.describe import decide_sizes, describe
from app.pool.devices import check_devices
from app.pool.loader import LlamaLoader
from app.pool.parts import MakeRuntime
from app.pool.pool import ModelPool
from app.pool.reload import Catalog, Reloader
from app.pool.roster import DEFAULT_NAME
from app.pool.templates import check_templates
from app.services.embeddings import EmbeddingService
from app.services.generation import GenerationService
from app.services.models import ModelService
from app.services.pulls import PullService
from app.services.rerank import RerankService
from app.services.responses.service import ResponseService
from app.services.status import StatusService
from app.services.storage import StorageService
from app.services.texts import TextService
from app.services.uploads import UploadService
from app.storage.address import read_address
from app.storage.meter import Meter
from app.storage.retention import Limits
from app.storage.store import Store, make_store
from app.telemetry.journal import Journal
from app.telemetry.logging import Progress, llama_log_sink, load_progress
from app.telemetry.metrics import Metrics
from app.web.site import read_site

_NONE = "none"

OnFailure = Callable[[CorralError], None]

_log = structlog.stdlib.get_logger("corral")


@dataclass(frozen=True, slots=True)
class Service:
    """A built service. `app` starts and stops the rest with its lifespan.

    `device` says in words what llama.cpp computes on; `is_open` that no key is asked for.
    `reloader` reads `models.yaml` and the models directory again, `pulls` downloads models.
    """

    app: Starlette
    gate: DrainGate
    pool: ModelPool
    reloader: Reloader
    pulls: PullService
    device: str
    is_open: bool


def build_service(
    settings: Settings,
    on_failure: OnFailure | None = None,
    *,
    make_runtime: MakeRuntime = LlamaRuntime,
    make_progress: Callable[[str], Progress] = load_progress,
) -> Service:
    """Build everything; nothing runs before the app's lifespan starts.

    `on_failure` is told when a model that should be preloaded cannot be. `make_runtime` makes what
    computes a model's answers, `make_progress` what shows how far a model's load is.
    Raises ConfigurationError.
    """
    library.init(llama_log_sink)
    device = _choose_device(settings)
    keys = make_key_ring(settings.api_key, settings.api_keys_file)
    catalog = _read_catalog(settings)
    build = library.build_number()
    metrics = Metrics(version=__version__, llama_build=build, has_aliases=settings.metrics_aliases)
    prefixes = PrefixStore(
        settings.prefix_cache_bytes, settings.prefix_cache_dir, settings.prefix_cache_disk_bytes
    )
    loader = LlamaLoader(settings, make_progress, prefixes, make_runtime)
    pool = _make_pool(settings, catalog, metrics, loader)
    reloader = Reloader(
        pool, partial(_read_catalog, settings), settings.manifest, settings.models_dir / PINS
    )
    pulls = _make_pulls(settings, pool, reloader, metrics)
    metrics.watch(pool.stats, pool.states, pool.memory)
    metrics.watch_pulls(pulls.count_running, pulls.count_waiting)
    preload = _choose_preload(settings, pool)
    generation = GenerationService(pool, metrics, queue_timeout=settings.queue_timeout)
    gate, journal = DrainGate(), Journal()
    status = StatusService(pool, lambda: metrics.first_tokens, library.devices)
    store = _make_store(settings, metrics.store)
    metrics.store.watch(lambda: store.reason is not None)
    texts = TextService(pool)
    responses = ResponseService(
        generation, pool, store, texts, gate=gate, max_messages=settings.max_messages
    )
    app = create_api(
        generation=generation,
        embeddings=EmbeddingService(pool),
        models=ModelService(pool),
        storage=StorageService(pool, settings.models_dir, reloader.reload),
        texts=texts,
        ranking=RerankService(pool),
        pulls=pulls,
        uploads=UploadService(BlobStore(settings.models_dir)),
        responses=responses,
        store=store,
        pool=pool,
        metrics=metrics,
        settings=settings,
        effective=list_settings(settings),
        status=status,
        journal=journal,
        site=read_site(),
        fingerprint=build,
        keys=keys,
        gate=gate,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        prefixes.start()
        pool.start()
        # models load while the database is opened
        beside = [asyncio.create_task(_preload(pool, preload, on_failure))]
        try:
            await store.start()
            responses.start()
            beside += [asyncio.create_task(reloader.watch()), asyncio.create_task(status.watch())]
            yield
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await pulls.close()
            await responses.close()
            await store.close()
            await generation.settled()
            await pool.close()
            await asyncio.to_thread(prefixes.close)

    app.router.lifespan_context = lifespan
    return Service(app, gate, pool, reloader, pulls, device, keys.is_open)


async def _preload(pool: ModelPool, names: Sequence[str], on_failure: OnFailure | None) -> None:
    """In the background: the listener is open meanwhile, and early requests wait for the load."""
    try:
        await pool.preload(names)
    except CorralError as error:
        if on_failure is not None:
            on_failure(error)


def _make_pool(
    settings: Settings,
    catalog: Catalog,
    metrics: Metrics,
    loader: LlamaLoader,
) -> ModelPool:
    def describe_entry(entry: ModelEntry, state: ModelState, error: str | None) -> ModelInfo:
        return describe(entry, settings, state, error)

    return ModelPool(
        catalog.entries,
        loader,
        describe_entry,
        metrics,
        limit=decide_limit(settings),
        load_timeout=settings.load_timeout,
        keep_alive=settings.keep_alive,
        warm_after=settings.warm_after,
        default=catalog.default,
    )


def _make_pulls(
    settings: Settings, pool: ModelPool, reloader: Reloader, metrics: Metrics
) -> PullService:
    files = Pulls(
        settings.models_dir,
        is_offline=settings.is_offline,
        allows_http=settings.pull_http,
        count_bytes=metrics.count_pull_bytes,
    )
    service = PullService(
        files,
        pool,
        settings.models_dir,
        partial(_read_manifest, settings),
        reloader.reload,
        sources=settings.pull_sources,
        limit=settings.max_pulls,
        metrics=metrics,
    )
    if settings.pull_on_demand:
        bring = partial(service.bring, patience=settings.load_timeout)
        pool.bring_with(bring, service.progress)
    return service


def _make_store(settings: Settings, meter: Meter) -> Store:
    url = settings.database_url
    address = read_address(url.get_secret_value() if url else None, settings.models_dir)
    limits = Limits(
        conversation_age=settings.conversation_retention,
        response_age=settings.response_retention,
        size=settings.database_bytes,
    )
    return make_store(address, limits, meter)


def _choose_device(settings: Settings) -> str:
    """What will compute, in words; refuses where a GPU is demanded and there is none."""
    wanted = settings.devices
    gpus = [d for d in library.devices() if d.is_gpu and (not wanted or d.name in wanted)]
    can_offload = library.has_gpu()
    if settings.use_gpu == "on" and not can_offload:
        raise ConfigurationError(
            "LLM_USE_GPU is on, but llama.cpp was built without a GPU backend or finds no device; "
            "rebuild it (see the README) or set LLM_USE_GPU=auto"
        )
    if can_offload and settings.use_gpu != "off" and settings.gpu_layers != 0:
        return ", ".join(f"{gpu.name} ({gpu.description})" for gpu in gpus)
    threads = settings.threads or usable_cores()
    idle = f"; {len(gpus)} GPU unused" if gpus else ""
    return f"CPU ({threads} {'thread' if threads == 1 else 'threads'}{idle})"


def _read_catalog(settings: Settings) -> Catalog:
    if "models_dir" in settings.model_fields_set and not settings.models_dir.is_dir():
        _log.warning("LLM_MODELS_DIR is not a directory", path=str(settings.models_dir))
    manifest, entries = read_catalog(settings.manifest, settings.models_dir)
    catalog = check_templates(manifest, entries)
    check_devices(settings, manifest, catalog)
    for entry in catalog:
        _warn_about(entry, settings)
    return Catalog(catalog, _choose_default(settings, catalog))


def _read_manifest(settings: Settings) -> Manifest:
    return read_manifest(settings.manifest) if settings.manifest is not None else Manifest()


def _warn_about(entry: ModelEntry, settings: Settings) -> None:
    """What its owner should know of a model before anyone uses it."""
    if entry.error is not None:
        _log.warning(
            "model cannot be served", model=entry.id, file=str(entry.path), reason=entry.error
        )
    trained = entry.header.context_trained if entry.header is not None else 0
    context = decide_sizes(entry, settings).context
    if trained and context > trained:
        _log.warning(
            "context is larger than the model was made for",
            model=entry.id,
            context=context,
            trained=trained,
        )


def _choose_default(settings: Settings, catalog: Sequence[ModelEntry]) -> str:
    """The model that also answers to `default`: the one chosen, else the first that can chat."""
    wanted = settings.default_model
    if wanted is None:
        whole = [entry for entry in catalog if entry.header is not None] or list(catalog)
        chatting = (entry.id for entry in whole if entry.header and entry.header.is_generator)
        return next(chatting, whole[0].id)
    for entry in catalog:
        if wanted in {entry.id, *entry.aliases}:
            return entry.id
    known = ", ".join(entry.id for entry in catalog)
    raise ConfigurationError(f"LLM_DEFAULT_MODEL={wanted}: there is no such model; known: {known}")


def _choose_preload(settings: Settings, pool: ModelPool) -> list[str]:
    names = [name for name in settings.preload if name.lower() != _NONE]
    chosen: list[str] = []
    for name in names:
        try:
            model = pool.find(name).id
        except CorralError:
            known = ", ".join(info.id for info in pool.models())
            raise ConfigurationError(
                f"LLM_PRELOAD={name}: there is no such model; known: {known}, or {DEFAULT_NAME}"
            ) from None
        if model not in chosen:
            chosen.append(model)
    return chosen
