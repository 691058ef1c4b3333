"""Two engines of one model over the real llama.cpp: who gets what, and what a dead one costs."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.catalog.entries import ModelEntry, build_catalog
from app.config.manifest import Manifest
from app.config.settings import Settings
from app.core.errors import EngineFailed, QueueFull
from app.core.models import ModelInfo, ModelState
from app.core.requests import SamplingParams
from app.engine.engine import OutputStream
from app.engine.messages import SequenceFailed, SequenceFinished, SequenceOutput, SequenceSpec
from app.engine.prefix.store import PrefixStore
from app.llama.context import ContextOptions, LlamaRuntime
from app.llama.model import Model
from app.pool.describe import describe
from app.pool.loader import LlamaLoader
from app.pool.pool import ModelPool
from app.pool.replicas import Replicas
from app.pool.resident import Resident
from app.pool.room import Room
from app.telemetry.metrics import Metrics
from tests.support.streams import outputs_of

GREEDY = SamplingParams(temperature=0)
LONG = tuple(range(300, 500))
ENDLESS = 1500


@dataclass(slots=True)
class Faults:
    """Makes runtimes; `broken` are the numbers of those that fail at their next step."""

    made: int = 0
    broken: set[int] = field(default_factory=set[int])

    def make(self, model: Model, options: ContextOptions) -> LlamaRuntime:
        faults, number = self, self.made
        self.made += 1

        class Breakable(LlamaRuntime):
            def decode(self, n_tokens: int) -> bool:
                if number in faults.broken:
                    raise EngineFailed("pulled out")
                return super().decode(n_tokens)

        return Breakable(model, options)


@dataclass(slots=True)
class Pair:
    resident: Resident
    faults: Faults

    @property
    def engine(self) -> Replicas:
        engine = self.resident.loaded.engine
        assert isinstance(engine, Replicas)
        return engine

    @property
    def running(self) -> list[int]:
        return [one.running + one.waiting for one in self.engine.stats.replicas]

    def send(self, name: str, prompt: tuple[int, ...], tokens: int = 8) -> OutputStream:
        spec = SequenceSpec(name, prompt, tokens, GREEDY, ignore_eos=True)
        (stream,) = self.engine.submit((spec,))
        return stream

    async def until_running(self, *counts: int) -> None:
        async with asyncio.timeout(20):
            while self.running != list(counts):  # noqa: ASYNC110  # as an outsider sees it
                await asyncio.sleep(0.005)


async def text_of(stream: OutputStream) -> str:
    outputs = [output async for output in outputs_of(stream)]
    assert isinstance(outputs[-1], SequenceFinished), outputs[-1]
    return "".join(one.text for one in outputs if isinstance(one, SequenceOutput))


def entry_of(replicas: int) -> ModelEntry:
    said = {"builtin": True, "defaults": {"replicas": replicas}}
    (entry,) = build_catalog(Manifest.model_validate(said), Path(), Path("/nowhere"))
    return entry


@asynccontextmanager
async def paired(
    replicas: int = 2, cache: int = 2**26, *, max_queue: int = 256
) -> AsyncGenerator[Pair]:
    settings = Settings(
        threads=1,
        use_gpu="off",
        context_size=2048,
        kv_size=8192,
        max_sequences=4,
        max_queue=max_queue,
    )
    faults = Faults()
    loader = LlamaLoader(settings, lambda _: lambda _: None, PrefixStore(cache), faults.make)
    resident = await loader.load(entry_of(replicas), lambda _: None)
    try:
        yield Pair(resident, faults)
    finally:
        await resident.close()


async def test_both_answer_as_one_does() -> None:
    prompts = [tuple(range(start, start + 20)) for start in range(300, 380, 10)]
    answers: list[list[str]] = []
    for replicas in (1, 2):
        async with paired(replicas) as rig:
            engine = rig.resident.loaded.engine
            assert engine is not None
            assert isinstance(engine, Replicas) == (replicas > 1)
            texts: list[str] = []
            for name, prompt in enumerate(prompts):
                spec = SequenceSpec(str(name), prompt, 16, GREEDY, ignore_eos=True)
                (stream,) = engine.submit((spec,))
                texts.append(await text_of(stream))
            answers.append(texts)
    assert answers[0] == answers[1]


async def test_the_least_busy_one_gets_what_nobody_knows() -> None:
    async with paired() as rig:
        streams = [rig.send(str(index), (300 + index,) * 10, ENDLESS) for index in range(4)]
        await rig.until_running(2, 2)
        for stream in streams:
            stream.cancel()
        await rig.until_running(0, 0)
        stats = rig.engine.stats
        assert stats.sequences_max == 8
        assert stats.kv_tokens_total == 2 * 8192
        assert stats.finished == {"abort": 4}


async def test_who_computes_the_beginning_gets_the_rest() -> None:
    async with paired(cache=0) as rig:
        streams = [rig.send("a", (250,) * 10, ENDLESS), rig.send("b", LONG, ENDLESS)]
        await rig.until_running(1, 1)
        streams += [rig.send(f"c{index}", (*LONG, index), ENDLESS) for index in range(300, 303)]
        await rig.until_running(1, 4)
        # it is full: others must not be idle because everybody begins alike
        streams += [rig.send(f"d{index}", (*LONG, index), ENDLESS) for index in range(310, 313)]
        await rig.until_running(4, 4)
        streams += [rig.send(f"e{index}", (*LONG, index), ENDLESS) for index in range(320, 324)]
        await rig.until_running(6, 6)
        for stream in streams:
            stream.cancel()


async def test_what_was_saved_is_known_to_all() -> None:
    async with paired() as rig:
        await text_of(rig.send("a", LONG))
        busy = rig.send("b", (*LONG, 250), ENDLESS)
        other = rig.send("c", (*LONG, 251), ENDLESS)
        await rig.until_running(1, 1)
        for stream in (busy, other):
            stream.cancel()
        await rig.until_running(0, 0)
        stats = rig.engine.stats
        assert stats.cached_tokens >= 2 * (len(LONG) - 1)
        assert stats.prompt_tokens_computed <= len(LONG) + 6
        assert (
            stats.cache_entries_by_tier["host"] == stats.replicas[0].cache_entries_by_tier["host"]
        )


async def test_the_other_goes_on_when_one_dies() -> None:
    async with paired() as rig:
        streams = [rig.send("a", (250,) * 10, 400), rig.send("b", (260,) * 10, ENDLESS)]
        await rig.until_running(1, 1)
        rig.faults.broken.add(1)
        outputs = [output async for output in outputs_of(streams[1])]
        assert isinstance(outputs[-1], SequenceFailed)
        assert "pulled out" in outputs[-1].error.message
        async with asyncio.timeout(5):
            while not rig.resident.is_damaged:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        assert rig.engine.dead == (1,)
        assert rig.engine.stats.is_alive
        await text_of(rig.send("c", (270,) * 10))  # goes to the one that lives
        counted = rig.engine.stats.finished
        assert await rig.resident.mend() == 1
        assert (rig.engine.dead, rig.faults.made) == ((), 3)
        assert rig.engine.stats.finished == counted
        more = [rig.send(f"d{index}", (280 + index,) * 10) for index in range(4)]
        for stream in more:
            await text_of(stream)
        assert await text_of(streams[0])  # it never noticed
        assert all(one.finished.get("length") for one in rig.engine.stats.replicas)


RESTARTED = b'corral_worker_restarts_total{model="corral-tiny"} 1.0'


async def test_the_pool_replaces_a_dead_engine_beside_the_others() -> None:
    faults, metrics = Faults(), Metrics()
    settings = Settings(threads=1, use_gpu="off", context_size=2048, max_sequences=4)
    loader = LlamaLoader(settings, lambda _: lambda _: None, PrefixStore(0), faults.make)

    def describe_entry(entry: ModelEntry, state: ModelState, error: str | None) -> ModelInfo:
        return describe(entry, settings, state, error)

    pool = ModelPool(
        (entry_of(2),), loader, describe_entry, metrics, limit=Room(1, 2**40), load_timeout=60
    )
    pool.start()
    try:
        async with pool.lease("default") as loaded:
            engine = loaded.engine
            assert engine is not None
            ends = [SequenceSpec(name, (250,) * 10, 800, GREEDY, ignore_eos=True) for name in "ab"]
            streams = [engine.submit((spec,))[0] for spec in ends]
            faults.broken.add(1)
            outputs = [output async for output in outputs_of(streams[1])]
            assert isinstance(outputs[-1], SequenceFailed)

            def has_recovered() -> bool:
                alive = all(replica.is_alive for replica in engine.stats.replicas)
                return faults.made >= 3 and alive and RESTARTED in metrics.render()[0]

            async with asyncio.timeout(20):
                while not has_recovered():
                    assert pool.is_alive
                    assert pool.states() == {"corral-tiny": "hot"}
                    await asyncio.sleep(0.01)
            assert await text_of(streams[0])
        async with pool.lease("default") as again:
            assert again.engine is engine
    finally:
        await pool.close()


async def test_nobody_is_left() -> None:
    async with paired() as rig:
        rig.faults.broken.update((0, 1))
        streams = [rig.send("a", (250,) * 10), rig.send("b", (260,) * 10)]
        for stream in streams:
            outputs = [output async for output in outputs_of(stream)]
            assert isinstance(outputs[-1], SequenceFailed)
        async with asyncio.timeout(5):
            while rig.engine.stats.is_alive:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        with pytest.raises(EngineFailed):
            rig.send("c", (270,) * 10)


async def test_a_full_queue_is_full_when_all_are() -> None:
    async with paired(max_queue=0) as rig:
        streams = [rig.send(str(index), (250 + index,) * 10, ENDLESS) for index in range(8)]
        with pytest.raises(QueueFull):
            rig.send("x", (400,) * 10)
        for stream in streams:
            stream.cancel()


@pytest.mark.parametrize("replicas", [1, 2])
async def test_warm_and_hot_again(replicas: int) -> None:
    async with paired(replicas) as rig:
        resident = rig.resident
        engine, embedder = resident.loaded.engine, resident.loaded.embedder
        assert engine is not None
        assert embedder is not None
        (stream,) = engine.submit((SequenceSpec("a", LONG, 8, GREEDY, ignore_eos=True),))
        before = await text_of(stream)
        (vector,) = await embedder.embed([list(LONG)])
        hot = resident.memory
        await resident.cool()
        assert resident.memory == resident.weights < hot
        assert not engine.stats.is_alive
        await resident.heat()
        engine, embedder = resident.loaded.engine, resident.loaded.embedder
        assert engine is not None
        assert embedder is not None
        (stream,) = engine.submit((SequenceSpec("b", LONG, 8, GREEDY, ignore_eos=True),))
        assert await text_of(stream) == before
        assert engine.stats.cached_tokens == len(LONG) - 1  # the prefix cache has outlived it
        assert (await embedder.embed([list(LONG)]))[0] == pytest.approx(vector)
        assert resident.memory == pytest.approx(hot, rel=0.01)
