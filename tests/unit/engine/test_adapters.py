"""Sequences under different adapters: each as if it were alone, and each in its turn."""

import itertools
from collections import Counter

import pytest

from app.core.adapters import NO_ADAPTERS, AdapterSet, make_set, spell
from app.core.requests import SamplingParams
from app.engine.budget import PrefillBudget
from app.engine.messages import (
    Cancel,
    EngineConfig,
    Output,
    SequenceCancelled,
    SequenceOutput,
    SequenceSpec,
    SequenceStarted,
    Submit,
)
from app.engine.prefix.store import PrefixStore
from app.engine.step_times import StepTimes
from app.engine.turns import Turns, choose_turn_steps
from app.engine.worker import Worker
from tests.support.fake_runtime import FakeRuntime, answer, traits

A, B = make_set([("a", 1.0)]), make_set([("b", 1.0)])
BOTH = make_set([("a", 0.5), ("b", 1.0)])
SETS = (NO_ADAPTERS, A, B, BOTH)
KEYS = {"a": "file a", "b": "file b"}
PROMPT = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3] * 5


@pytest.fixture(autouse=True)
def one_step_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of microseconds, whose times say nothing."""

    def choose(*_: object) -> int:
        return 1

    monkeypatch.setattr("app.engine.worker.choose_turn_steps", choose)


class Rig:
    """An engine stepped by hand."""

    def __init__(self, store: PrefixStore | None = None, *, mixes_steps: bool = False) -> None:
        self.runtime = FakeRuntime(kv_size=1000, max_sequences=8, memory=traits(size=1000))
        self.cached: dict[str, int] = {}
        self.texts: Counter[str] = Counter()
        self.spoken: dict[str, str] = {}
        config = EngineConfig(
            step_tokens=24,
            mixed_step_tokens=24,
            step_seconds=0,
            mixes_steps=mixes_steps,
            adapters=("a", "b"),
        )
        prefixes = (store or PrefixStore(0)).of_model("m", KEYS)
        self.worker = Worker(self.runtime, config, self._deliver, prefixes)

    def _deliver(self, outputs: list[Output | SequenceCancelled]) -> None:
        for output in outputs:
            if isinstance(output, SequenceStarted):
                self.cached[output.id] = output.cached_tokens
            elif isinstance(output, SequenceOutput):
                self.spoken[output.id] = self.spoken.get(output.id, "") + output.text

    def submit(
        self,
        name: str,
        adapters: AdapterSet = NO_ADAPTERS,
        prompt: list[int] = PROMPT,
        *,
        max_tokens: int = 12,
        priority: int = 0,
    ) -> None:
        spec = SequenceSpec(
            name,
            tuple(prompt),
            max_tokens,
            SamplingParams(temperature=0),
            priority=priority,
            adapters=adapters,
        )
        self.worker.send(Submit(spec))

    def run(self) -> None:
        while self.worker.step():
            pass


def text(prompt: list[int], adapters: AdapterSet, count: int = 12) -> str:
    return "".join(chr(96 + token) for token in answer(prompt, count, adapters))


@pytest.mark.parametrize("mixes_steps", [False, True])
def test_each_answer_is_that_of_its_adapters(mixes_steps: bool) -> None:
    rig = Rig(mixes_steps=mixes_steps)
    for index, adapters in enumerate(SETS * 2):
        rig.submit(f"s{index}", adapters)
    rig.run()
    expected = {f"s{index}": text(PROMPT, adapters) for index, adapters in enumerate(SETS * 2)}
    assert rig.spoken == expected
    assert len(set(expected.values())) == len(SETS), "negative control"


def test_beginnings_are_shared_under_the_same_adapters_only() -> None:
    rig = Rig()
    for index, adapters in enumerate(SETS * 2):
        rig.submit(f"s{index}", adapters)
    rig.run()
    known = len(PROMPT) - 1
    assert [rig.cached[f"s{index}"] for index in range(8)] == [0] * 4 + [known] * 4
    assert rig.worker.stats.prompt_tokens_computed == 4 * (len(PROMPT) + 1)


def test_what_was_kept_serves_the_same_adapters_at_the_same_scale() -> None:
    rig = Rig(PrefixStore(10_000))
    weak = make_set([("a", 0.5)])
    for name, adapters in {"base": NO_ADAPTERS, "a": A, "again": A, "weak": weak}.items():
        rig.submit(name, adapters)
        rig.run()
    assert rig.cached == {"base": 0, "a": 0, "again": len(PROMPT) - 1, "weak": 0}
    stats = rig.worker.stats
    assert stats.cache_entries_by_tier == {"host": 3}
    assert stats.cache_bytes_by_tier == {"host": 3 * (len(PROMPT) + 11)}


def test_sets_that_nobody_uses_leave_nothing_behind() -> None:
    store = PrefixStore(300)
    rig = Rig(store)
    for step in range(1, 40):
        rig.submit(f"s{step}", make_set([("a", step / 8)]))
        rig.run()
    held = len(store.host.kept)
    assert 0 < held < 10
    assert len(store.host._adapted) == held  # pyright: ignore[reportPrivateUsage]
    assert len(store.host._shelves) == 1  # pyright: ignore[reportPrivateUsage]
    assert rig.worker.stats.cache_evictions == 39 - held
    assert rig.worker.stats.cache_entries_by_tier == {"host": held}


def test_without_adapters_the_runtime_is_never_adapted() -> None:
    rig = Rig()
    for index in range(4):
        rig.submit(f"s{index}")
    rig.run()
    assert set(rig.runtime.adapted) == {NO_ADAPTERS}
    assert rig.worker.stats.adapter_switches == 0


@pytest.mark.parametrize("mixes_steps", [False, True])
def test_sets_take_turns(mixes_steps: bool) -> None:
    """Between two tokens of a stream no other set has more than two turns."""
    rig = Rig(mixes_steps=mixes_steps)
    for index, adapters in enumerate(SETS):
        rig.submit(f"s{index}", adapters, [index + 1] * 3, max_tokens=40)
    rig.run()
    turns = rig.runtime.adapted[8:-8]  # prompts first, and some end before others
    assert Counter(turns).keys() == set(SETS)
    for adapters in SETS:
        places = [place for place, one in enumerate(turns) if one == adapters]
        assert max(later - place for place, later in itertools.pairwise(places)) <= 7
    # a round begins where the one before it ended
    assert rig.worker.stats.adapter_switches < 0.8 * len(rig.runtime.adapted)


@pytest.mark.parametrize("mixes_steps", [False, True])
def test_nobody_starves_beside_sets_that_come_and_go(mixes_steps: bool) -> None:
    rig = Rig(mixes_steps=mixes_steps)
    rig.submit("patient", A, [1] * 3, max_tokens=20)
    rig.worker.step()
    steps = 0
    while len(rig.spoken.get("patient", "")) < 20:
        rig.submit(f"s{steps}", make_set([("b", 1 + steps / 100)]), [2] * 40, max_tokens=3)
        assert rig.worker.step()
        steps += 1
        assert steps < 20 * 2 * 8 * 3
    assert rig.spoken["patient"] == text([1] * 3, A, 20)


def test_a_prompt_beside_streams_of_two_sets_gets_one_turn_in_a_round() -> None:
    rig = Rig()
    rig.submit("a", A, [1] * 3, max_tokens=60)
    rig.submit("b", B, [2] * 3, max_tokens=60)
    for _ in range(6):
        rig.worker.step()
    seen = len(rig.runtime.adapted)
    rig.submit("late", NO_ADAPTERS, [3] * 240, max_tokens=1)
    while "late" not in rig.spoken:
        rig.worker.step()
    steps = rig.runtime.adapted[seen:]
    assert Counter(steps)[NO_ADAPTERS] == 10
    for before, after in itertools.pairwise(
        [place for place, one in enumerate(steps) if one == NO_ADAPTERS]
    ):
        assert set(steps[before + 1 : after]) == {A, B}, "each stream had its turn"


@pytest.mark.parametrize("mixes_steps", [False, True])
def test_a_prompt_beside_a_stream_of_another_set_is_read(mixes_steps: bool) -> None:
    rig = Rig(mixes_steps=mixes_steps)
    rig.submit("a", A, [1] * 3, max_tokens=60)
    for _ in range(4):
        rig.worker.step()
    rig.submit("late", B, [2] * 72, max_tokens=1)
    for _ in range(10):
        rig.worker.step()
    assert rig.spoken["late"] == text([2] * 72, B, 1)
    assert 4 < len(rig.spoken["a"]) < 15, "each had its turn"


def test_the_more_urgent_prompt_is_read_first_whatever_its_adapters() -> None:
    rig = Rig()
    rig.submit("later", A, [1] * 40, priority=1)
    rig.submit("first", B, [2] * 40)
    rig.worker.step()
    assert rig.runtime.adapted == [B]


def test_who_is_cancelled_leaves_the_turn_to_others() -> None:
    rig = Rig()
    rig.submit("a", A, [1] * 3, max_tokens=500)
    rig.submit("b", B, [2] * 3, max_tokens=10)
    for _ in range(5):
        rig.worker.step()
    rig.worker.send(Cancel("a"))
    rig.run()
    assert rig.spoken["b"] == text([2] * 3, B, 10)
    assert rig.runtime.cells_used == 0


def test_running_and_waiting_sequences_are_counted_by_adapter() -> None:
    rig = Rig()
    for index in range(10):
        rig.submit(f"s{index}", (A, BOTH)[index % 2], [index + 1] * 3, max_tokens=30)
    rig.worker.step()
    stats = rig.worker.stats
    assert stats.adapters_running == {"a": 8, "b": 4}
    assert stats.adapters_waiting == {"a": 2, "b": 1}
    rig.run()
    assert rig.worker.stats.adapters_running == {"a": 0, "b": 0}


def measured(decode_seconds: float, switch_seconds: float) -> StepTimes:
    """Of one row in a step."""
    times = StepTimes()
    times.observe(1, 0, decode_seconds)
    times.observe(1, 0, decode_seconds + switch_seconds, has_switched=True)
    return times


def test_what_a_change_costs_is_measured_apart_from_steps() -> None:
    times = measured(0.010, 0.005)
    assert times.switch == pytest.approx(0.005)
    assert times.decode(1) == pytest.approx(0.010)
    times.observe(1, 100, 0.010 + 0.005 + 0.1, has_switched=True)
    assert times.prompt_token == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("rows", "decode", "switch", "target", "expected"),
    [
        ([1], 0.010, 0.005, 0.4, 1),  # nobody else
        ([1, 1], 0.050, 0.0, 0.4, 1),  # changes cost nothing
        ([1, 1], 0.010, 0.005, 0.4, 5),  # 10 ms of changes in 100 of steps
        ([1, 1], 0.010, 0.005, 0.1, 2),  # nobody waits longer than the target
        ([1, 1], 0.500, 0.500, 0.4, 1),
        ([1, 1], 0.010, 0.005, 0.0, 5),
        ([1, 1], 0.001, 9.0, 0.0, 64),
    ],
)
def test_turns_are_as_long_as_makes_changes_cheap(
    rows: list[int], decode: float, switch: float, target: float, expected: int
) -> None:
    assert choose_turn_steps(measured(decode, switch), rows, target) == expected


def test_nothing_is_known_at_first() -> None:
    assert choose_turn_steps(StepTimes(), [1, 1], 0.4) == 1


def test_a_turn_has_its_steps() -> None:
    turns = Turns()
    seen: list[AdapterSet] = []
    for _ in range(12):
        chosen = turns.choose([A, B])
        ends = turns.is_last_step(chosen, 3)
        turns.advance(chosen, is_turn=True, ends_turn=ends)
        turns.is_round_over([A, B])
        seen.append(chosen)
    assert seen == [A] * 3 + [B] * 6 + [A] * 3


def test_prompts_leave_time_for_every_set() -> None:
    times = measured(0.010, 0.005)
    times.observe(0, 100, 0.1)
    budget = PrefillBudget(times, target_seconds=0.4, start=64, most=10_000)
    assert budget.tokens(1) == 384  # 390 ms
    assert budget.tokens(*[1] * 10) == 192  # 400 - 10 * (10 + 5) ms


def test_sets_are_spelled_and_empty_ones_are_none() -> None:
    assert make_set([("a", 0.0)]) == NO_ADAPTERS
    assert spell(BOTH) == ["a@0.5", "b"]
