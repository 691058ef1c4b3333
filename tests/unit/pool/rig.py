"""A pool over a loader that can be told when to finish, and what to fail with."""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from app.catalog.entries import ModelEntry
from app.core.errors import (
    ModelLoadFailed,
    OutOfMemory,
)
from app.core.models import ModelInfo, ModelState
from app.core.requests import SamplingParams
from app.core.stats import EngineStats
from app.llama.footprint import Footprint
from app.pool.loaded import LoadedModel
from app.pool.loader import Progress
from app.pool.pool import ModelPool
from app.pool.resident import Resident
from app.pool.room import Room


def entry(name: str, **more: Any) -> ModelEntry:
    """Its file is there, whatever it is."""
    return ModelEntry(id=name, paths=(Path(__file__),), size=1, created=1, header=None, **more)


def info(one: ModelEntry, state: ModelState, error: str | None = None) -> ModelInfo:
    return ModelInfo(
        id=one.id,
        created=one.created,
        state=state,
        size=one.size,
        architecture="fake",
        context_window=8,
        max_output_tokens=8,
        context_trained=8,
        error=error,
    )


@dataclass(slots=True)
class FakeEngine:
    stats: EngineStats = field(default_factory=lambda: EngineStats(heartbeat=float("inf")))
    is_closed: bool = False

    async def close(self) -> None:
        self.is_closed = True

    def die(self) -> None:
        self.stats = replace(self.stats, is_alive=False)


class FakeResident:
    """Satisfies `Resident`; its contexts are as large as the loader says."""

    def __init__(self, loader: "FakeLoader", entry: ModelEntry) -> None:
        self.loader, self.entry = loader, entry
        self.is_damaged = False
        self.is_hot = True
        loader.residents[entry.id] = self
        self._start()

    def _start(self) -> None:
        engine = self.loader.engines[self.entry.id] = FakeEngine()
        self.loaded = LoadedModel(
            info=info(self.entry, "hot"),
            tokenizer=cast("Any", None),
            sampling=SamplingParams(),
            template=None,
            engine=cast("Any", engine),
            embedder=None,
            constraints=None,
        )

    @property
    def weights(self) -> int:
        return self.loader.sizes.get(self.entry.id, 1) - self.loader.contexts

    @property
    def memory(self) -> int:
        return self.weights + (self.loader.contexts if self.is_hot else 0)

    async def cool(self) -> None:
        await asyncio.sleep(0)
        self.loader.changes.append(f"cool {self.entry.id}")
        self.loader.taken -= self.loader.contexts
        self.loader.engines[self.entry.id].die()
        self.is_hot = False

    async def heat(self) -> None:
        await asyncio.sleep(0)
        self.loader.changes.append(f"heat {self.entry.id}")
        self.loader.take(self.loader.contexts)
        if error := self.loader.fail.get(self.entry.id):
            self.loader.taken -= self.loader.contexts
            raise error
        self.is_hot = True
        self._start()

    async def mend(self) -> int:
        await asyncio.sleep(0)
        self.loader.changes.append(f"mend {self.entry.id}")
        if error := self.loader.fail.get(self.entry.id):
            raise error
        self.is_damaged = False
        return 1

    async def close(self) -> None:
        await asyncio.sleep(0)
        self.loader.unloads.append(self.entry.id)
        self.loader.taken -= self.memory


@dataclass(slots=True)
class FakeLoader:
    """Loads at once unless `gate` is cleared; `fail` holds what to raise, by model."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    fail: dict[str, Exception] = field(default_factory=dict[str, Exception])
    loads: list[str] = field(default_factory=list[str])
    unloads: list[str] = field(default_factory=list[str])
    engines: dict[str, FakeEngine] = field(default_factory=dict[str, FakeEngine])
    sizes: dict[str, int] = field(default_factory=dict[str, int])
    residents: dict[str, FakeResident] = field(default_factory=dict[str, FakeResident])
    contexts: int = 0
    changes: list[str] = field(default_factory=list[str])
    most: int = 0
    there: int = 2**40
    taken: int = 0
    most_taken: int = 0
    is_stopped: bool = False

    def __post_init__(self) -> None:
        self.gate.set()

    def stop(self) -> None:
        self.is_stopped = True
        self.gate.set()

    def take(self, size: int) -> None:
        if self.taken + size > self.there:
            raise OutOfMemory("no")
        self.taken += size
        self.most_taken = max(self.most_taken, self.taken)

    async def measure(self, entry: ModelEntry) -> Footprint:
        size = self.sizes.get(entry.id, 1)
        return Footprint(size - self.contexts, self.contexts)

    async def load(self, entry: ModelEntry, progress: Progress) -> Resident:
        progress(0.5)
        self.loads.append(entry.id)
        self.most = max(self.most, len(self.loads) - len(self.unloads) - len(self.fail))
        await self.gate.wait()
        if self.is_stopped:
            raise ModelLoadFailed("stopped")
        if entry.id in self.fail:
            raise self.fail[entry.id]
        self.take(self.sizes.get(entry.id, 1))
        return FakeResident(self, entry)


@dataclass(slots=True)
class FakeMetrics:
    loads: Counter[str] = field(default_factory=Counter[str])
    evictions: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    warm_starts: Counter[str] = field(default_factory=Counter[str])
    coolings: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    restarts: Counter[str] = field(default_factory=Counter[str])

    def observe_load(self, model: str, seconds: float) -> None:
        self.loads[model] += 1

    def observe_warm_start(self, model: str, seconds: float) -> None:
        self.warm_starts[model] += 1

    def count_cooling(self, model: str, reason: str) -> None:
        self.coolings[model, reason] += 1

    def count_eviction(self, model: str, reason: str) -> None:
        self.evictions[model, reason] += 1

    def count_restart(self, model: str) -> None:
        self.restarts[model] += 1


@dataclass(slots=True)
class Rig:
    pool: ModelPool
    loader: FakeLoader
    metrics: FakeMetrics

    def state(self, model: str) -> ModelState:
        return self.pool.states()[model]

    async def use(self, model: str) -> None:
        async with self.pool.lease(model):
            pass

    async def until(self, model: str, state: ModelState) -> None:
        async with asyncio.timeout(5):
            while self.state(model) != state:  # noqa: ASYNC110  # as an outsider sees it
                await asyncio.sleep(0.002)


@asynccontextmanager
async def rigged(
    *entries: ModelEntry,
    max_loaded: int = 2,
    memory: int = 100,
    load_timeout: float = 5.0,
    keep_alive: float = math.inf,
    warm_after: float = math.inf,
) -> AsyncGenerator[Rig]:
    loader, metrics = FakeLoader(), FakeMetrics()
    pool = ModelPool(
        entries or (entry("a", aliases=("gpt",)), entry("b"), entry("c")),
        loader,
        info,
        metrics,
        limit=Room(max_loaded, memory),
        load_timeout=load_timeout,
        keep_alive=keep_alive,
        warm_after=warm_after,
    )
    pool.start()
    try:
        yield Rig(pool, loader, metrics)
    finally:
        loader.gate.set()
        await pool.close()
