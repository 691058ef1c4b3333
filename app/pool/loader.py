"""Makes a LoadedModel from a file: weights, contexts, engine, embedder, grammar compiler."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from app.catalog.entries import ModelEntry
from app.catalog.verify import Verifier
from app.config.hardware import usable_cores
from app.config.settings import Settings
from app.core.errors import ModelLoadFailed, OutOfMemory, UnsupportedOperation
from app.core.options import DraftMethod
from app.core.requests import SamplingParams
from app.engine.constraint import ConstraintCompiler
from app.engine.embedder import Embedder
from app.engine.engine import Engine
from app.engine.prefix.store import PrefixStore
from app.engine.runtime import Runtime
from app.llama.context import ContextOptions, LlamaRuntime
from app.llama.footprint import count_buffers, lacked_memory
from app.llama.grammar import grammar_tokenizer
from app.llama.library import listen
from app.llama.model import Model, ModelOptions
from app.llama.ranking import RankingRuntime
from app.pool.contexts import (
    context_options,
    embedding_options,
    engine_config,
    estimate_memory,
    gpu_layers,
    load_draft,
    state_key,
)
from app.pool.describe import adjust_capabilities, describe
from app.pool.lazy_embedding import LazyEmbeddingRuntime
from app.pool.loaded import LoadedModel
from app.pool.templates import Templates, make_templates
from app.pool.trial import FOLDER, Trials

Progress = Callable[[float], None]
MakeRuntime = Callable[[Model, ContextOptions], Runtime]


@dataclass(frozen=True, slots=True)
class Resident:
    """A model in memory and the way to let it go. Nothing may use it once `close` is called.
    `memory`: bytes that it takes by now."""

    loaded: LoadedModel
    close: Callable[[], Awaitable[None]]
    memory: Callable[[], int]


class Loader(Protocol):
    """What the pool needs to fill a place in memory."""

    async def measure(self, entry: ModelEntry) -> int:
        """Bytes that the model will take. Raises ModelLoadFailed for a file that cannot be used."""
        ...

    async def load(self, entry: ModelEntry) -> Resident:
        """Raises ModelLoadFailed, OutOfMemory, and UnsupportedOperation for a model that cannot be
        served."""
        ...

    def stop(self) -> None:
        """Give up every load that runs; it fails soon. There will be no other."""
        ...


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a thread made of a file; the rest is made on the event loop."""

    model: Model
    runtime: Runtime | None
    draft: LlamaRuntime | None
    embedding: LazyEmbeddingRuntime | None
    ranking: LazyEmbeddingRuntime | None
    grammar: Any
    templates: Templates | None
    memory: int


class LlamaLoader:
    """Loads with llama.cpp. The slow part runs in a thread, so that streams go on meanwhile."""

    def __init__(
        self,
        settings: Settings,
        make_progress: Callable[[str], Progress],
        prefixes: PrefixStore,
        make_runtime: MakeRuntime = LlamaRuntime,
    ) -> None:
        """`make_progress` gives the callback that shows how far loading a model has come.
        `prefixes` outlives the models: what one had computed is there when it comes back.
        `make_runtime` makes what computes a model's answers."""
        self._settings = settings
        self._prefixes = prefixes
        self._make_runtime = make_runtime
        self._make_progress = make_progress
        self._verifier = Verifier()
        self._stopped = threading.Event()
        self._threads = settings.threads or usable_cores()
        self._trials: Trials | None = None
        if settings.try_new_files:
            self._trials = Trials(
                settings.models_dir / FOLDER,
                settings.kv_type,
                settings.flash_attention,
                self._threads,
            )

    async def measure(self, entry: ModelEntry) -> int:
        await self._check(entry)
        estimate = partial(estimate_memory, self._settings, entry, self._threads)
        return await asyncio.to_thread(estimate)

    async def load(self, entry: ModelEntry) -> Resident:
        await self._check(entry)
        parts = await asyncio.to_thread(self._make_parts_or_say, entry)
        return self._assemble(entry, parts)

    def stop(self) -> None:
        self._stopped.set()

    async def _check(self, entry: ModelEntry) -> None:
        """Before llama.cpp sees the file in this process. Every file is looked at once."""
        await self._verifier.verify(entry, self._stopped.is_set)
        if self._trials is not None:
            await self._trials.check(entry, self._stopped.is_set)

    def _make_parts_or_say(self, entry: ModelEntry) -> _Parts:
        """Raises OutOfMemory where that is why llama.cpp failed, by its log."""
        with listen() as lines:
            try:
                parts = self._make_parts(entry)
            except ModelLoadFailed as error:
                if lacked_memory(lines):
                    raise OutOfMemory(error.message) from error
                raise
        return replace(parts, memory=parts.memory + count_buffers(lines))

    def _make_parts(self, entry: ModelEntry) -> _Parts:
        """Frees what it made when a later part fails."""
        if self._stopped.is_set():
            raise ModelLoadFailed(f"Loading {entry.path.name} was stopped.")
        settings, threads = self._settings, self._threads
        options = ModelOptions(gpu_layers(settings, entry), settings.use_mmap)
        with ExitStack() as undo:
            model = Model.load(entry.path, options, self._watch(entry.id))
            undo.callback(model.close)
            if model.has_encoder and model.has_decoder:
                raise UnsupportedOperation(
                    f"The model '{entry.id}' cannot be served: models with an encoder and a "
                    f"decoder ({model.architecture}) are not supported. Please choose another.",
                    param="model",
                )
            runtime = draft = grammar = embedding = ranking = templates = None
            if model.is_generator:
                runtime = self._make_runtime(model, context_options(settings, entry, threads))
                undo.callback(runtime.close)
                if entry.draft is not None:
                    draft = load_draft(settings, entry, model, threads)
                    undo.callback(draft.close)
                grammar = grammar_tokenizer(model.vocabulary)
                templates = make_templates(entry, model.vocabulary)
            if entry.serves_embeddings:
                embedding = LazyEmbeddingRuntime(model, embedding_options(settings, entry, threads))
            if model.is_reranker:
                ranking = LazyEmbeddingRuntime(
                    model,
                    embedding_options(settings, entry, threads),
                    RankingRuntime,
                    RankingRuntime.dimensions,
                )
            undo.pop_all()
        weights = model.size + (entry.draft.size if draft is not None and entry.draft else 0)
        return _Parts(model, runtime, draft, embedding, ranking, grammar, templates, weights)

    def _watch(self, model: str) -> Callable[[float], bool]:
        """The progress callback: shows how far it is, and says whether to go on."""
        show = self._make_progress(model)

        def on_progress(share: float) -> bool:
            show(share)
            return not self._stopped.is_set()

        return on_progress

    def _assemble(self, entry: ModelEntry, parts: _Parts) -> Resident:
        settings, model = self._settings, parts.model
        engine = constraints = None
        if parts.runtime is not None:
            prefixes = self._prefixes.of_model(state_key(settings, entry))
            config = engine_config(settings, entry)
            engine = Engine(parts.runtime, config, prefixes, parts.draft).start()
            constraints = ConstraintCompiler(parts.grammar, model.vocabulary.size)
        waiting = max(settings.max_queue, settings.max_embedding_inputs)
        embedder, ranker = (
            Embedder(lazy, name=entry.id, max_queue=waiting) if lazy is not None else None
            for lazy in (parts.embedding, parts.ranking)
        )
        templates = parts.templates or Templates(None, None, None, None)
        info = describe(entry, settings, "hot", templates.error)
        problem = templates.plain.traits.problem if templates.plain is not None else None
        loaded = LoadedModel(
            info=replace(
                info,
                capabilities=adjust_capabilities(info.capabilities, templates.info),
                chat_template=templates.info,
                error=info.error or problem,
                parameters=model.parameters,
                device=model.device,
                gpu_layers=model.gpu_layers_offloaded,
            ),
            tokenizer=model.vocabulary,
            sampling=merge_sampling(entry, model.sampling_defaults),
            template=templates.plain,
            template_error=templates.error,
            engine=engine,
            embedder=embedder,
            constraints=constraints,
            speculation=_speculation(parts),
            tool_template=templates.tools,
            tool_format=entry.tool_format,
            system_prompt=entry.system_prompt,
            stop=entry.stop,
            ranker=ranker,
            rank_template=model.rank_template,
        )

        async def close() -> None:
            if engine is not None:
                await engine.close()
            for one in (embedder, ranker):
                if one is not None:
                    await one.close()
            if constraints is not None:
                constraints.close()
            await asyncio.to_thread(model.close)

        def memory() -> int:
            lazy = (one.memory for one in (parts.embedding, parts.ranking) if one is not None)
            return parts.memory + sum(lazy)

        return Resident(loaded, close, memory)


def _speculation(parts: _Parts) -> frozenset[DraftMethod]:
    """How tokens can be guessed ahead. The bindings have no way to a model's own layers for it."""
    found: set[DraftMethod] = {"off"}
    if parts.runtime is not None and parts.runtime.memory.is_cuttable:
        found.add("ngram")
        if parts.draft is not None:
            found.add("model")
    return frozenset(found)


def merge_sampling(entry: ModelEntry, recommended: dict[str, float]) -> SamplingParams:
    """The manifest's sampling over what the file recommends over llama.cpp's defaults."""
    values: dict[str, Any] = {**recommended, **entry.sampling}
    return SamplingParams(**values)
