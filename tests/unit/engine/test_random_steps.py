"""Thousands of random steps, and after each of them books that agree with what is there."""

import random
from collections import defaultdict
from dataclasses import dataclass, field

import pytest

from app.core.memory import MemoryTraits
from app.core.requests import SamplingParams
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
from app.engine.prefix.store import PrefixStore
from app.engine.sequence import Sequence
from app.engine.worker import Worker
from tests.support.fake_runtime import FakeRuntime, answer, traits

KV_SIZE = 160
MEMORIES = {
    "attention": traits(size=KV_SIZE),
    "per sequence": traits(is_unified=False, size=100),
    "cannot be cut": traits(is_cuttable=False, size=KV_SIZE),
}


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
        self.prefixes = self.store.of_model("m")
        self.worker = Worker(self.runtime, config, self._deliver, self.prefixes)

    def _deliver(self, outputs: list[Output | SequenceCancelled]) -> None:
        for output in outputs:
            self.outputs[output.id].append(output)

    @property
    def live(self) -> list[Sequence]:
        return self.worker._scheduler.live

    def check(self) -> None:
        """Everything that must hold between two steps."""
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
        waiting = self.worker._scheduler.waiting
        assert {s.spec.id for s in (*live, *waiting)} == set(self.worker._sequences)
        pins = sum(sequence.parked_state is not None for sequence in (*live, *waiting))
        assert not any(sequence.parked_state for sequence in live if sequence.is_attached)
        kept = self.store._kept
        assert sum(saved.size for saved in kept) == self.store._used_bytes <= 4000
        assert sum(saved.dependents for saved in kept) == sum(s.base is not None for s in kept)
        assert all(saved.nodes or saved.dependents for saved in kept)
        assert (sum(saved.pins for saved in kept) == 0) == (pins == 0)


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


def random_prediction(chance: random.Random, prompt: list[int], count: int) -> tuple[int, ...]:
    """The answer, with a mistake or two."""
    right = answer(prompt, count)
    for _ in range(chance.randint(0, 2)):
        right[chance.randrange(count)] = chance.randint(1, 26)
    return tuple(right)


@pytest.mark.parametrize("kind", MEMORIES)
@pytest.mark.parametrize("seed", range(2))
def test_ten_thousand_random_steps(kind: str, seed: int) -> None:
    chance = random.Random(seed)
    memory: MemoryTraits = MEMORIES[kind]
    rig = Rig(FullRuntime(kv_size=KV_SIZE, max_sequences=5, memory=memory), PrefixStore(4000))
    specs: dict[str, SequenceSpec] = {}
    seen: list[list[int]] = []
    for number in range(10_000):
        if chance.random() < 0.15 and len(rig.worker._sequences) < 12:
            prompt = random_prompt(chance, seen)
            count, is_predicted = chance.randint(1, 35), chance.random() < 0.3
            spec = specs[f"s{number}"] = SequenceSpec(
                id=f"s{number}",
                prompt=tuple(prompt),
                max_tokens=count,
                speculation="ngram" if is_predicted else None,
                prediction=random_prediction(chance, prompt, count) if is_predicted else (),
                sampling=SamplingParams(temperature=0),
                priority=chance.choice((0, 0, 1)),
                owner=chance.choice(("a", "b", None)),
                prompt_logprobs=0 if chance.random() < 0.05 else None,
            )
            seen = [*seen[-20:], [*prompt, *answer(prompt, spec.max_tokens)]]
            rig.worker.send(Submit(spec))
        if chance.random() < 0.02 and rig.worker._sequences:
            rig.worker.send(Cancel(chance.choice(sorted(rig.worker._sequences))))
        rig.runtime.refuse_decodes = chance.random() < 0.02
        rig.worker.step()
        rig.check()
    while rig.worker._sequences:
        rig.worker.step()
        rig.check()
    assert rig.runtime.cells_used == 0
    stats = rig.worker.stats
    assert stats.preemptions > 50
    assert stats.recomputed_tokens == 0, "what was parked came back whole"
    finished = 0
    for name, spec in specs.items():
        last = rig.outputs[name][-1]
        expected = "".join(chr(96 + token) for token in answer(spec.prompt, spec.max_tokens))
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
        assert stats.cached_tokens > 0.3 * stats.prompt_tokens
