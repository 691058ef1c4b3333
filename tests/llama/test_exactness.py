"""What is shared, cut, saved and restored is, bit for bit, what would have been computed."""

from collections.abc import Iterator

import numpy as np
import pytest

from app.core.errors import EngineFailed
from app.core.memory import SavedRange
from app.llama.context import LlamaRuntime
from tests.llama.memory_cases import (
    CASES,
    ORDER_TOLERANCE,
    SHAPE_TOLERANCE,
    Case,
    Logits,
    Zoo,
    assert_same,
    decode,
    furthest,
    go_on,
    open_context,
    random_tokens,
    read,
)

PROMPT, END = 100, 106
TOKENS = random_tokens(400)
OTHERS = random_tokens(400, seed=1)


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture
def runtime(zoo: Zoo, case: Case) -> Iterator[LlamaRuntime]:
    made = open_context(zoo.model(case.architecture), **case.options)
    yield made
    made.close()


@pytest.fixture
def expected(zoo: Zoo, case: Case) -> Logits:
    """What one sequence alone computes, for positions PROMPT..END-1."""
    made = open_context(zoo.model(case.architecture), **case.options)
    read(made, 0, TOKENS[:PROMPT])
    logits = go_on(made, 0, TOKENS, PROMPT, END)
    made.close()
    return logits


def test_the_traits_are_those_of_the_model(runtime: LlamaRuntime, case: Case) -> None:
    traits = runtime.memory
    is_unified = case.options.get("kv_unified", True)
    assert traits.kind == case.kind
    assert traits.shares_cells == is_unified
    assert traits.is_cuttable == (case.kind == "attention")
    assert traits.saves_ranges == (is_unified and case.kind in ("attention", "sliding"))
    assert traits.cells_per_sequence == (4096 if is_unified else 1024)


def test_both_go_on_after_sharing(runtime: LlamaRuntime, expected: Logits, case: Case) -> None:
    read(runtime, 0, TOKENS[:PROMPT])
    runtime.share(0, 1, PROMPT)
    mixed = np.concatenate([TOKENS[:PROMPT], OTHERS])
    strayed: list[Logits] = []
    for place in range(PROMPT, END):
        strayed.append(go_on(runtime, 0, mixed, place, place + 1)[0])
        shared = go_on(runtime, 1, TOKENS, place, place + 1)
        assert_same(shared[0], expected[place - PROMPT], case.tolerance)
    assert furthest(np.array(strayed), expected) > SHAPE_TOLERANCE, "negative control"


def test_the_source_does_not_notice(runtime: LlamaRuntime, expected: Logits, case: Case) -> None:
    read(runtime, 0, TOKENS[:PROMPT])
    runtime.share(0, 1, PROMPT)
    runtime.share(0, 2, PROMPT)
    go_on(runtime, 1, np.concatenate([TOKENS[:PROMPT], OTHERS]), PROMPT, END)
    runtime.remove(2, -1, -1)
    assert_same(go_on(runtime, 0, TOKENS, PROMPT, END), expected, case.tolerance)


def test_a_wrong_prefix_is_another(runtime: LlamaRuntime, expected: Logits, case: Case) -> None:
    """How far logits move when what was shared or restored is wrong."""
    read(runtime, 0, OTHERS[:PROMPT])
    runtime.share(0, 1, PROMPT)
    assert furthest(go_on(runtime, 1, TOKENS, PROMPT, END), expected) > 2 * SHAPE_TOLERANCE


@pytest.mark.parametrize("chunk", [1, 17, 128])
def test_batch_shapes_agree(runtime: LlamaRuntime, expected: Logits, chunk: int) -> None:
    read(runtime, 3, TOKENS[:PROMPT], chunk=chunk)
    assert furthest(go_on(runtime, 3, TOKENS, PROMPT, END), expected) < SHAPE_TOLERANCE


def test_a_saved_sequence_comes_back(runtime: LlamaRuntime, expected: Logits, case: Case) -> None:
    read(runtime, 0, TOKENS[:PROMPT])
    state = runtime.save(0, 0)
    for target in (0, 2):
        runtime.remove(0, -1, -1)
        assert runtime.restore(target, [SavedRange(state, 0, PROMPT)])
        assert_same(go_on(runtime, target, TOKENS, PROMPT, END), expected, case.tolerance)
        runtime.remove(target, -1, -1)


def test_saving_leaves_the_sequence_alone(
    runtime: LlamaRuntime, expected: Logits, case: Case
) -> None:
    read(runtime, 0, TOKENS[:PROMPT])
    runtime.save(0, 0)
    if runtime.memory.saves_ranges:
        runtime.save(0, 40)
    assert_same(go_on(runtime, 0, TOKENS, PROMPT, END), expected, case.tolerance)


def test_ranges_saved_at_different_times_join(
    runtime: LlamaRuntime, expected: Logits, case: Case
) -> None:
    if not runtime.memory.saves_ranges:
        pytest.skip("keeps whole sequences only")
    pieces: list[SavedRange] = []
    for start, end in ((0, 33), (33, 64), (64, PROMPT)):
        read(runtime, 0, TOKENS[:end], start)
        # the first holds more than is taken from it
        pieces.append(SavedRange(runtime.save(0, start), start, end))
    whole = runtime.save(0, 0)
    assert sum(len(piece.state) for piece in pieces) < 2 * len(whole)
    runtime.remove(0, -1, -1)
    # the same shapes of batches as the pieces were computed in
    read(runtime, 0, TOKENS[:33])
    read(runtime, 0, TOKENS[:64], 33)
    read(runtime, 0, TOKENS[:PROMPT], 64)
    alike = go_on(runtime, 0, TOKENS, PROMPT, END)
    assert furthest(alike, expected) < SHAPE_TOLERANCE
    runtime.remove(0, -1, -1)
    assert runtime.restore(1, pieces)
    assert_same(go_on(runtime, 1, TOKENS, PROMPT, END), alike, case.tolerance)


def test_what_is_shared_already_is_not_restored(runtime: LlamaRuntime, case: Case) -> None:
    if not (runtime.memory.saves_ranges and runtime.memory.is_cuttable):
        pytest.skip("comes back whole only")
    read(runtime, 0, TOKENS[:PROMPT])
    whole, tail = runtime.save(0, 0), runtime.save(0, 60)
    alike = go_on(runtime, 0, TOKENS, PROMPT, END)
    runtime.remove(0, PROMPT, -1)
    for pieces in (
        [SavedRange(whole, 0, PROMPT)],
        [SavedRange(whole, 0, 60), SavedRange(tail, 60, PROMPT)],
    ):
        runtime.share(0, 1, 40)
        assert runtime.restore(1, pieces, 40)
        assert_same(go_on(runtime, 1, TOKENS, PROMPT, END), alike, ORDER_TOLERANCE)
        runtime.remove(1, -1, -1)


def test_a_range_may_hold_more_than_is_taken(runtime: LlamaRuntime, case: Case) -> None:
    if not (runtime.memory.saves_ranges and runtime.memory.is_cuttable):
        pytest.skip("cannot be cut anywhere")
    read(runtime, 0, TOKENS[:PROMPT])
    whole, tail = runtime.save(0, 0), runtime.save(0, 30)
    logits = go_on(runtime, 0, TOKENS, PROMPT, END)
    for middle in (30, 70):
        runtime.remove(0, -1, -1)
        ranges = [SavedRange(whole, 0, middle), SavedRange(tail, middle, PROMPT)]
        assert runtime.restore(0, ranges)
        # what was not taken leaves free cells between
        assert_same(go_on(runtime, 0, TOKENS, PROMPT, END), logits, ORDER_TOLERANCE)
    runtime.remove(0, -1, -1)
    read(runtime, 0, TOKENS[:PROMPT])
    runtime.remove(0, 60, -1)
    cut = go_on(runtime, 0, TOKENS, 60, 66)
    runtime.remove(0, -1, -1)
    assert runtime.restore(0, [SavedRange(whole, 0, 60)])
    assert_same(go_on(runtime, 0, TOKENS, 60, 66), cut, case.tolerance)


def test_rejected_tokens_leave_no_trace(runtime: LlamaRuntime, case: Case) -> None:
    """As in speculation: five tokens in one step, of which the last three are taken back."""
    kept = PROMPT + 2

    def after_step(draft_sequence: int) -> Logits:
        """The draft's three rows belong to the sequence, or to another, which goes."""
        read(runtime, 0, TOKENS[:PROMPT])
        right = [(int(TOKENS[place]), place, 0) for place in range(PROMPT, kept)]
        first = kept if draft_sequence == 0 else 0
        wrong = [(int(OTHERS[i]), first + i, draft_sequence) for i in range(3)]
        assert decode(runtime, [*right, *wrong]) is not None
        runtime.remove(draft_sequence, kept if draft_sequence == 0 else -1, -1)
        logits = go_on(runtime, 0, TOKENS, kept, END)
        runtime.remove(0, -1, -1)
        return logits

    read(runtime, 0, TOKENS[: kept + 3])
    if runtime.shortest(0, kept + 3) > kept:
        pytest.skip("goes back to where it was saved only")
    runtime.remove(0, -1, -1)
    if not runtime.memory.shares_cells:
        assert furthest(after_step(0), after_step(1)) < SHAPE_TOLERANCE
        return
    assert_same(after_step(0), after_step(1), case.tolerance)


def test_a_state_cannot_be_cut(runtime: LlamaRuntime, case: Case) -> None:
    if case.kind not in ("recurrent", "hybrid"):
        pytest.skip("can be cut")
    read(runtime, 0, TOKENS[:PROMPT])
    assert runtime.shortest(0, PROMPT) == PROMPT
    runtime.remove(0, PROMPT, -1)  # nothing is there
    with pytest.raises(EngineFailed, match="cannot forget"):
        runtime.remove(0, PROMPT - 1, -1)


def test_a_source_can_be_written_at_once(runtime: LlamaRuntime, expected: Logits) -> None:
    """Nothing of a share waits for the next decode."""
    read(runtime, 0, TOKENS[:PROMPT])
    read(runtime, 3, OTHERS[:PROMPT])
    other = runtime.save(3, 0)
    runtime.share(0, 1, PROMPT)
    again = runtime.save(1, 0)
    runtime.remove(0, -1, -1)
    assert runtime.restore(0, [SavedRange(other, 0, PROMPT)])
    assert_same(go_on(runtime, 1, TOKENS, PROMPT, END), expected, ORDER_TOLERANCE)
    runtime.remove(1, -1, -1)
    assert runtime.restore(1, [SavedRange(again, 0, PROMPT)])
    assert_same(go_on(runtime, 1, TOKENS, PROMPT, END), expected, ORDER_TOLERANCE)


def test_no_room_leaves_nothing_behind(zoo: Zoo, case: Case) -> None:
    if case.kind not in ("attention", "sliding") or not case.options.get("kv_unified", True):
        pytest.skip("each sequence has room of its own")
    runtime = open_context(zoo.model(case.architecture), **{**case.options, "kv_size": 256})
    try:
        read(runtime, 0, TOKENS[:PROMPT])
        state, logits = runtime.save(0, 0), go_on(runtime, 0, TOKENS, PROMPT, END)
        assert runtime.restore(1, [SavedRange(state, 0, PROMPT)])
        assert not runtime.restore(2, [SavedRange(state, 0, PROMPT)])
        runtime.remove(0, -1, -1)
        assert runtime.restore(2, [SavedRange(state, 0, PROMPT)]), "the failure left cells behind"
        assert furthest(go_on(runtime, 2, TOKENS, PROMPT, END), logits) < SHAPE_TOLERANCE
    finally:
        runtime.close()


def test_a_batch_is_never_larger_than_llama_cpp_takes(zoo: Zoo, case: Case) -> None:
    runtime = open_context(zoo.model(case.architecture), **{**case.options, "kv_size": 64})
    try:
        read(runtime, 0, TOKENS[: runtime.batch_capacity], chunk=runtime.batch_capacity)
    finally:
        runtime.close()
