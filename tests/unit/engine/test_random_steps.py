"""Thousands of random steps, and after each of them books that agree with what is there."""

import random
import time
from collections import defaultdict
from collections.abc import Sequence as Seq
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.core.adapters import NO_ADAPTERS, AdapterSet, make_set
from app.core.memory import MemoryTraits
from app.core.requests import SamplingParams
from app.core.stats import EngineStats
from app.engine.messages import (
    Cancel,
    EngineConfig,
    Output,
    SequenceCancelled,
    SequenceFinished,
    SequenceOutput,
    SequenceSpec,
    SequenceStarted,
    Submit,
)
from app.engine.prefix import files
from app.engine.prefix.disk import DiskTier
from app.engine.prefix.store import PrefixStore
from app.engine.prefix.tree import Saved
from app.engine.sequence import Sequence
from app.engine.worker import Worker
from tests.support.fake_runtime import FakeRuntime, answer, mark_of, traits

KV_SIZE = 160
CAPACITY, DISK_CAPACITY = 4000, 60_000
MEMORIES = {
    "attention": traits(size=KV_SIZE),
    "per sequence": traits(is_unified=False, size=100),
    "cannot be cut": traits(is_cuttable=False, size=KV_SIZE),
}
PLAIN: tuple[AdapterSet, ...] = (NO_ADAPTERS,)
SETS = (
    NO_ADAPTERS,
    make_set([("a", 1.0)]),
    make_set([("b", 1.0)]),
    make_set([("a", 0.5), ("b", 1.0)]),
)
ADAPTER_KEYS = {"a": "file a", "b": "file b"}


class FullRuntime(FakeRuntime):
    """Refuses a decode only where something else could make room for it."""

    def decode(self, n_tokens: int) -> bool:
        if len(set(self.batch.sequence[:n_tokens].tolist())) < 2:
            self.refuse_decodes = 0
        return super().decode(n_tokens)


@dataclass
class Rig:
    """An engine that is stepped by hand, and what became of every sequence."""

    runtime: FakeRuntime
    store: PrefixStore
    outputs: dict[str, list[Output | SequenceCancelled]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def __post_init__(self) -> None:
        config = EngineConfig(
            step_tokens=24, mixed_step_tokens=24, step_seconds=0, gates_speculation=False
        )
        self.prefixes = self.store.of_model("m", ADAPTER_KEYS)
        self.worker = Worker(self.runtime, config, self._deliver, self.prefixes)

    def _deliver(self, outputs: list[Output | SequenceCancelled]) -> None:
        for output in outputs:
            self.outputs[output.id].append(output)

    @property
    def live(self) -> list[Sequence]:
        return self.worker._scheduler.live

    def check(self) -> None:
        """Everything that must hold between two steps."""
        with self.store.host.lock:
            self._check()

    def _check(self) -> None:
        runtime, live = self.runtime, self.live
        assert runtime.cells_used == self.worker._placement.cells.used
        slots = [sequence.slot for sequence in live]
        assert sorted([*slots, *self.worker._scheduler._free_slots]) == list(
            range(runtime.max_sequences)
        )
        assert set(runtime.cache) <= set(slots), "cells that nobody holds"
        for sequence in live:
            held = runtime.tokens(sequence.slot)
            assert held == sequence.tokens[: sequence.computed].tolist()
            assert sequence.computed < sequence.length
            marks = {cell.mark for cell in runtime.cache.get(sequence.slot, [])}
            assert marks <= {mark_of(sequence.adapters)}, "computed under other adapters"
        waiting = self.worker._scheduler.waiting
        assert {s.spec.id for s in (*live, *waiting)} == set(self.worker._sequences)
        pins = sum(sequence.parked_state is not None for sequence in (*live, *waiting))
        assert not any(sequence.parked_state for sequence in live if sequence.is_attached)
        host, disk = self.store.host, self.store.disk
        filed: set[Saved] = set(disk._filed) if disk is not None else set()
        everything = {*host.kept, *filed}
        assert sum(saved.size for saved in host.kept) == host.used_bytes
        assert all(saved.state is not None for saved in host.kept)
        assert all((saved in filed) == bool(saved.file) for saved in everything)
        n_leaning = sum(saved.base is not None for saved in everything)
        assert sum(saved.dependents for saved in everything) == n_leaning
        assert all(saved.nodes or saved.dependents for saved in everything)
        if disk is None:
            assert host.used_bytes <= CAPACITY
            assert (sum(saved.pins for saved in host.kept) == 0) == (pins == 0)
        else:
            assert disk._used_bytes <= DISK_CAPACITY


def text_of(outputs: list[Output | SequenceCancelled]) -> str:
    return "".join(output.text for output in outputs if isinstance(output, SequenceOutput))


def random_prompt(chance: random.Random, seen: list[list[int]]) -> list[int]:
    """Often the beginning of an earlier one, or all of it with its answer."""
    if seen and chance.random() < 0.7:
        earlier = chance.choice(seen)
        start = earlier[: chance.randint(1, len(earlier))]
    else:
        start = []
    fresh = [chance.randint(1, 26) for _ in range(chance.randint(1, 30))]
    return [*start, *fresh][:60]


def random_prediction(
    chance: random.Random, prompt: list[int], count: int, adapters: AdapterSet
) -> tuple[int, ...]:
    """The answer, with a mistake or two."""
    right = answer(prompt, count, adapters)
    for _ in range(chance.randint(0, 2)):
        right[chance.randrange(count)] = chance.randint(1, 26)
    return tuple(right)


@pytest.mark.parametrize("kind", MEMORIES)
@pytest.mark.parametrize("seed", range(2))
def test_ten_thousand_random_steps(kind: str, seed: int) -> None:
    run_steps(seed, MEMORIES[kind], PrefixStore(CAPACITY))


@pytest.mark.parametrize("kind", MEMORIES)
def test_ten_thousand_random_steps_under_adapters(kind: str) -> None:
    """The same prompts under one set and another: nothing computed under one serves another."""
    stats = run_steps(5, MEMORIES[kind], PrefixStore(CAPACITY), SETS)
    assert stats.adapter_switches > 500


@pytest.mark.parametrize(
    ("kind", "sets"), [*((kind, PLAIN) for kind in MEMORIES), ("attention", SETS)]
)
def test_ten_thousand_random_steps_with_a_disk(
    kind: str,
    sets: Seq[AdapterSet],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Memory holds next to nothing, and files come and go beside the steps."""
    monkeypatch.setattr("app.engine.placement._WORTH_READING", 4)
    # a disk that is late is not waited for: here it may be, where other tests keep the machine busy
    monkeypatch.setattr("app.engine.prefix.reader._SECONDS", 30.0)
    store = PrefixStore(200, tmp_path, DISK_CAPACITY)
    store.start()
    stats = run_steps(3, MEMORIES[kind], store, sets)
    if MEMORIES[kind].is_cuttable:
        assert stats.cached_tokens_by_tier["disk"] > 0
    assert stats.cache_entries_by_tier["disk"] > 10
    store.close()
    assert not any(saved.pins or saved.is_unwritten for saved in store.host.kept)
    assert store.host.used_bytes <= 200
    folder = tmp_path / files.FOLDER
    used = sum(path.stat().st_size for path in folder.iterdir())
    prefixes = store.of_model("m")
    assert prefixes is not None
    assert used == prefixes.stats().bytes_by_tier["disk"] <= DISK_CAPACITY


def let_write(disk: DiskTier) -> None:
    """Steps of microseconds leave the disk's threads no time to answer."""
    time.sleep(0.001)
    until = time.monotonic() + 5
    while disk._offered and time.monotonic() < until:  # pyright: ignore[reportPrivateUsage]
        time.sleep(0.001)


def run_steps(
    seed: int, memory: MemoryTraits, store: PrefixStore, sets: Seq[AdapterSet] = PLAIN
) -> EngineStats:
    chance = random.Random(seed)
    rig = Rig(FullRuntime(kv_size=KV_SIZE, max_sequences=5, memory=memory), store)
    specs: dict[str, SequenceSpec] = {}
    seen: list[list[int]] = []
    for number in range(10_000):
        if chance.random() < 0.15 and len(rig.worker._sequences) < 12:
            prompt = random_prompt(chance, seen)
            count, is_predicted = chance.randint(1, 35), chance.random() < 0.3
            adapters = sets[chance.randrange(len(sets))] if len(sets) > 1 else NO_ADAPTERS
            spec = specs[f"s{number}"] = SequenceSpec(
                id=f"s{number}",
                prompt=tuple(prompt),
                max_tokens=count,
                speculation="ngram" if is_predicted else None,
                prediction=random_prediction(chance, prompt, count, adapters)
                if is_predicted
                else (),
                sampling=SamplingParams(temperature=0),
                priority=chance.choice((0, 0, 1)),
                owner=chance.choice(("a", "b", None)),
                prompt_logprobs=0 if chance.random() < 0.05 else None,
                adapters=adapters,
            )
            seen = [*seen[-20:], [*prompt, *answer(prompt, spec.max_tokens, adapters)]]
            rig.worker.send(Submit(spec))
        if chance.random() < 0.02 and rig.worker._sequences:
            rig.worker.send(Cancel(chance.choice(sorted(rig.worker._sequences))))
        rig.runtime.refuse_decodes = chance.random() < 0.02
        rig.worker.step()
        rig.check()
        if store.disk is not None and number % 20 == 0:
            let_write(store.disk)
    while rig.worker._sequences:
        rig.worker.step()
        rig.check()
    assert rig.runtime.cells_used == 0
    stats = rig.worker.stats
    assert stats.preemptions > 50
    # while a state is read from disk, others may take the room that was there for it
    most = 0 if store.disk is None else 100
    assert stats.recomputed_tokens <= most, "what was parked came back whole"
    finished = 0
    for name, spec in specs.items():
        last = rig.outputs[name][-1]
        right = answer(spec.prompt, spec.max_tokens, spec.adapters)
        expected = "".join(chr(96 + token) for token in right)
        if isinstance(last, SequenceFinished):
            finished += 1
            assert expected.startswith(text_of(rig.outputs[name]))
            assert last.n_tokens == spec.max_tokens
    assert finished > 0.7 * len(specs)
    starts = [o for outputs in rig.outputs.values() for o in outputs]
    cached = sum(o.cached_tokens for o in starts if isinstance(o, SequenceStarted))
    assert cached == stats.cached_tokens
    started = {o.id for o in starts if isinstance(o, SequenceStarted)}
    assert stats.prompt_tokens == sum(len(specs[name].prompt) for name in started)
    if memory.is_cuttable:
        assert 500 < stats.accepted_tokens < stats.drafted_tokens
        assert stats.cached_tokens > (0.3 if sets == PLAIN else 0.1) * stats.prompt_tokens
    return stats
