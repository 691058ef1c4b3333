"""Rows in such an order that llama.cpp computes them in one pass."""

from itertools import pairwise

import pytest

from app.core.requests import SamplingParams
from app.engine.messages import (
    Cancel,
    EngineConfig,
    Output,
    SequenceCancelled,
    SequenceOutput,
    SequenceSpec,
    Submit,
)
from app.engine.prefix.store import PrefixStore
from app.engine.runs import find_fillers
from app.engine.worker import Worker
from tests.support.fake_runtime import FakeRuntime, answer, traits


class CountingRuntime(FakeRuntime):
    """Knows how many passes a split cache would take for its latest batch."""

    passes = 0
    rows = 0

    def decode(self, n_tokens: int) -> bool:
        slots = self.batch.sequence[:n_tokens].tolist()
        breaks = (after not in (before, before + 1) for before, after in pairwise(slots))
        self.passes = 1 + sum(breaks)
        self.rows = n_tokens
        return super().decode(n_tokens)


class Rig:
    """Eight streams, each of which could go on for long."""

    def __init__(self, *, is_cuttable: bool, is_unified: bool) -> None:
        memory = traits(is_cuttable=is_cuttable, is_unified=is_unified, size=800)
        self.runtime = CountingRuntime(kv_size=800, max_sequences=8, memory=memory)
        self.spoken = dict.fromkeys(range(20), "")
        config = EngineConfig(step_tokens=24, mixed_step_tokens=24, step_seconds=0)
        prefixes = PrefixStore(0).of_model("m")
        self.worker = Worker(self.runtime, config, self._deliver, prefixes)
        for number in range(8):
            self.submit(number)

    def _deliver(self, outputs: list[Output | SequenceCancelled]) -> None:
        for output in outputs:
            if isinstance(output, SequenceOutput):
                self.spoken[int(output.id)] += output.text

    def submit(self, number: int) -> None:
        sampling = SamplingParams(temperature=0)
        spec = SequenceSpec(str(number), (number + 1, 2, 3), 60, sampling)
        self.worker.send(Submit(spec))
        for _ in range(3):
            self.worker.step()

    def cancel(self, *numbers: int) -> None:
        for number in numbers:
            self.worker.send(Cancel(str(number)))
        self.worker.step()

    def check(self) -> None:
        """What was said so far is right."""
        for number, text in self.spoken.items():
            tokens = answer([number + 1, 2, 3], len(text))
            assert text == "".join(chr(96 + token) for token in tokens)


@pytest.fixture(params=["split", "recurrent"])
def rig(request: pytest.FixtureRequest) -> Rig:
    return Rig(is_cuttable=request.param == "split", is_unified=request.param == "recurrent")


def test_streams_that_came_and_went_in_any_order_share_a_pass(rig: Rig) -> None:
    for leaving, coming in ((5, 8), (1, 9), (6, 10), (0, 11)):
        rig.cancel(leaving)
        rig.submit(coming)
    rig.worker.step()
    assert (rig.runtime.passes, rig.runtime.rows) == (1, 8)
    rig.check()


def test_a_row_in_an_empty_slot_keeps_the_pass_whole(rig: Rig) -> None:
    rig.cancel(2, 5)
    assert (rig.runtime.passes, rig.runtime.rows) == (1, 8)
    assert set(rig.runtime.cache) == {0, 1, 3, 4, 6, 7}
    for _ in range(20):
        rig.worker.step()
    rig.check()
    rig.submit(8)
    rig.submit(9)
    assert (rig.runtime.passes, rig.runtime.rows) == (1, 8)
    rig.check()
    assert all(len(rig.spoken[number]) > 20 for number in (0, 1, 3, 4, 6, 7))


def test_a_gap_that_costs_more_than_a_pass_stays(rig: Rig) -> None:
    rig.cancel(1, 2, 3, 4, 5, 6)
    assert (rig.runtime.passes, rig.runtime.rows) == (2, 2)


def test_where_any_order_will_do_no_row_is_added() -> None:
    rig = Rig(is_cuttable=True, is_unified=True)
    rig.cancel(2, 5)
    assert rig.runtime.rows == 6


@pytest.mark.parametrize(
    ("slots", "occupied", "most", "fillers"),
    [
        ([], [], 9, []),
        ([3], [], 9, []),
        ([0, 1, 2], [], 9, []),
        ([0, 2], [], 9, [1]),
        ([0, 2], [1], 9, []),
        ([0, 2], [], 0, []),
        ([0, 3], [], 9, []),
        ([0, 1, 4, 5], [], 9, [2, 3]),
        ([0, 1, 4, 5], [3], 9, []),
        ([0, 1, 4, 5], [], 1, []),
        ([0, 2, 5], [], 9, [1]),
        ([0, 2, 5, 6], [], 9, [1, 3, 4]),
        ([0, 5, 7, 8], [], 9, [6]),
    ],
)
def test_gaps_no_longer_than_their_sides_are_closed(
    slots: list[int], occupied: list[int], most: int, fillers: list[int]
) -> None:
    assert find_fillers(slots, occupied, most) == fillers
