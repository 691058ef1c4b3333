"""A model in memory, hot or warm: its engines, its embedder, and the ways between the two."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Protocol

from app.catalog.entries import ModelEntry
from app.config.settings import Settings
from app.core.errors import CorralError
from app.core.options import DraftMethod
from app.core.requests import SamplingParams
from app.engine.constraint import ConstraintCompiler
from app.engine.embedder import Embedder
from app.engine.engine import Engine
from app.engine.prefix.store import ModelPrefixes, PrefixStore
from app.llama.ranking import RankingRuntime
from app.pool.contexts import StateKeys, embedding_options, engine_config
from app.pool.describe import adjust_capabilities, describe
from app.pool.lazy_embedding import LazyEmbeddingRuntime
from app.pool.loaded import LoadedModel
from app.pool.parts import Contexts, Weights
from app.pool.replicas import Replicas
from app.pool.templates import Templates


class Resident(Protocol):
    """A model in memory, as the pool needs it. Nobody may use it while it changes, but `mend`
    disturbs no one."""

    @property
    def loaded(self) -> LoadedModel:
        """What leases give; its engine and embedder are of use while it is hot only."""
        ...

    @property
    def weights(self) -> int:
        """Bytes that stay when it is warm."""
        ...

    @property
    def memory(self) -> int:
        """Bytes that it takes by now."""
        ...

    @property
    def is_damaged(self) -> bool:
        """Whether a replica of it is dead."""
        ...

    async def cool(self) -> None:
        """Hot to warm: free its contexts."""
        ...

    async def heat(self) -> None:
        """Warm to hot. Raises ModelLoadFailed or OutOfMemory, and is warm then."""
        ...

    async def mend(self) -> int:
        """Make dead replicas anew; how many could be made. Raises as `heat` where the first cannot:
        what is still dead is for the next attempt."""
        ...

    async def close(self) -> None:
        """Free everything."""
        ...


class LlamaResident:
    """Satisfies `Resident` with llama.cpp. Made on the event loop, warm; contexts are made in
    threads."""

    def __init__(
        self,
        settings: Settings,
        entry: ModelEntry,
        prefixes: PrefixStore,
        weights: Weights,
        make_contexts: Callable[[int], Contexts],
        *,
        keys: StateKeys,
    ) -> None:
        """`make_contexts` makes those of the replica of a number. `keys`: of the files that were
        loaded, whatever comes later."""
        self._settings = settings
        self._entry = entry
        self._prefixes = prefixes
        self._keys = keys
        self._weights = weights
        self._make_contexts = make_contexts
        self._contexts: list[Contexts] = []
        self._lazy: list[LazyEmbeddingRuntime] = []
        self._constraints: ConstraintCompiler | None = None
        if weights.generates:
            self._constraints = ConstraintCompiler(weights.grammar, weights.first.vocabulary.size)
        self.loaded = self._describe()

    @property
    def weights(self) -> int:
        return self._weights.size

    @property
    def memory(self) -> int:
        return self.weights + sum(one.memory for one in (*self._contexts, *self._lazy))

    @property
    def is_damaged(self) -> bool:
        engine = self.loaded.engine
        return isinstance(engine, Replicas) and bool(engine.dead)

    async def cool(self) -> None:
        if self.loaded.engine is not None:
            await self.loaded.engine.close()
        for one in (self.loaded.embedder, self.loaded.ranker):
            if one is not None:
                await one.close()
        self._contexts, self._lazy = [], []

    async def heat(self) -> None:
        self._contexts = await asyncio.to_thread(self._make_all_contexts)
        engines = [self._start_engine(index) for index in range(len(self._contexts))]
        engine = engines[0] if engines else None
        if len(engines) > 1:
            engine = Replicas(engines, self._open_prefixes())
        self.loaded = replace(
            self.loaded,
            engine=engine,
            embedder=self._make_embedder() if self._entry.serves_embeddings else None,
            ranker=self._make_ranker() if self._weights.first.is_reranker else None,
            speculation=self._list_speculation(),
        )

    async def mend(self) -> int:
        engine = self.loaded.engine
        if not isinstance(engine, Replicas):
            return 0
        mended = 0
        for index in engine.dead:
            await engine.join(index)  # there may be no room for its contexts twice
            try:
                self._contexts[index] = await asyncio.to_thread(self._make_contexts, index)
            except CorralError:
                if not mended:
                    raise
                break
            await engine.replace(index, self._start_engine(index))
            mended += 1
        return mended

    async def close(self) -> None:
        await self.cool()
        if self._constraints is not None:
            self._constraints.close()
        await asyncio.to_thread(self._weights.close)

    def _describe(self) -> LoadedModel:
        """All that is known of the model before it is hot."""
        settings, entry, model = self._settings, self._entry, self._weights.first
        templates = self._weights.templates or Templates(None, None, None, None)
        info = describe(entry, settings, "hot", templates.error)
        problem = templates.plain.traits.problem if templates.plain is not None else None
        return LoadedModel(
            info=replace(
                info,
                capabilities=adjust_capabilities(info.capabilities, templates.info),
                chat_template=templates.info,
                error=info.error or problem,
                parameters=model.parameters,
                device=", ".join(dict.fromkeys(one.device for one in self._weights.models)),
                gpu_layers=model.gpu_layers_offloaded,
            ),
            tokenizer=model.vocabulary,
            sampling=merge_sampling(entry, model.sampling_defaults),
            template=templates.plain,
            template_error=templates.error,
            engine=None,
            embedder=None,
            constraints=self._constraints,
            tool_template=templates.tools,
            tool_format=entry.tool_format,
            system_prompt=entry.system_prompt,
            stop=entry.stop,
            rank_template=model.rank_template,
        )

    def _make_all_contexts(self) -> list[Contexts]:
        made: list[Contexts] = []
        with ExitStack() as undo:
            for index in range(len(self._weights.models) if self._weights.generates else 0):
                made.append(self._make_contexts(index))
                undo.callback(made[-1].close)
            undo.pop_all()
        return made

    def _start_engine(self, index: int) -> Engine:
        contexts = self._contexts[index]
        config = engine_config(self._settings, self._entry)
        if self._entry.replicas > 1:
            config = replace(config, name=f"{config.name}/{index}")
        return Engine(contexts.runtime, config, self._open_prefixes(), contexts.draft).start()

    def _open_prefixes(self) -> ModelPrefixes | None:
        """What was computed before, also by other replicas and before the model went warm."""
        return self._prefixes.of_model(self._keys.model, self._keys.adapters)

    def _make_embedder(self) -> Embedder:
        options = embedding_options(self._settings, self._entry)
        return self._embed_with(LazyEmbeddingRuntime(self._weights.first, options))

    def _make_ranker(self) -> Embedder:
        options = embedding_options(self._settings, self._entry)
        dimensions = RankingRuntime.dimensions
        return self._embed_with(
            LazyEmbeddingRuntime(self._weights.first, options, RankingRuntime, dimensions)
        )

    def _embed_with(self, runtime: LazyEmbeddingRuntime) -> Embedder:
        self._lazy.append(runtime)
        waiting = max(self._settings.max_queue, self._settings.max_embedding_inputs)
        return Embedder(runtime, name=self._entry.id, max_queue=waiting)

    def _list_speculation(self) -> frozenset[DraftMethod]:
        """How tokens can be guessed ahead. The bindings have no way to a model's own layers for
        it."""
        found: set[DraftMethod] = {"off"}
        if self._contexts and self._contexts[0].runtime.memory.is_cuttable:
            found.add("ngram")
            if self._contexts[0].draft is not None:
                found.add("model")
        return frozenset(found)


def merge_sampling(entry: ModelEntry, recommended: dict[str, float]) -> SamplingParams:
    """The manifest's sampling over what the file recommends over llama.cpp's defaults."""
    values: dict[str, Any] = {**recommended, **entry.sampling}
    return SamplingParams(**values)
