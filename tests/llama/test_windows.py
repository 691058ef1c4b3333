"""Sliding windows: how far a sequence can be cut or shared, at every position."""

from collections.abc import Iterator

import pytest

from app.core.memory import SavedRange
from app.llama.context import LlamaRuntime
from scripts.make_gguf import WINDOW
from tests.llama.memory_cases import (
    ORDER_TOLERANCE,
    SHAPE_TOLERANCE,
    Zoo,
    assert_same,
    furthest,
    go_on,
    open_context,
    random_tokens,
    read,
    typical,
)

TOKENS = random_tokens(1600)
LONGEST = 130


@pytest.fixture(params=["gemma3", "gpt-oss"])
def architecture(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=[True, False], ids=["unified", "split"])
def runtime(zoo: Zoo, architecture: str, request: pytest.FixtureRequest) -> Iterator[LlamaRuntime]:
    made = open_context(zoo.model(architecture), kv_unified=request.param)
    yield made
    made.close()


def test_the_shortest_prefix_is_exact_at_every_length(runtime: LlamaRuntime) -> None:
    """A restored sequence has the least a window can have, so the limit is as near as it gets."""
    expected = go_on(runtime, 0, TOKENS, 0, LONGEST)
    runtime.remove(0, -1, -1)
    moved: list[float] = []
    for length in range(1, LONGEST):
        go_on(runtime, 0, TOKENS, length - 1, length)
        state = runtime.save(0, 0)
        runtime.remove(0, -1, -1)
        assert runtime.restore(0, [SavedRange(state, 0, length)])
        limit = runtime.shortest(0, length)
        assert limit == (0 if length <= WINDOW else length - 1)
        for cut in {limit, limit - 1} - {0, -1}:
            runtime.remove(0, -1, -1)
            assert runtime.restore(0, [SavedRange(state, 0, length)])
            runtime.remove(0, cut, -1)
            logits = go_on(runtime, 0, TOKENS, cut, cut + 1)
            if cut == limit:
                assert_same(logits[0], expected[cut])
            else:
                moved.append(furthest(logits[0], expected[cut]))
        runtime.remove(0, -1, -1)
        assert runtime.restore(0, [SavedRange(state, 0, length)])
    assert len(moved) == LONGEST - 1 - WINDOW
    assert min(moved) > 1e-3, "negative control"
    assert max(moved) > SHAPE_TOLERANCE, "negative control"


@pytest.mark.parametrize("length", [20, 300, 700])
def test_a_running_sequence_can_be_cut_to_its_shortest(runtime: LlamaRuntime, length: int) -> None:
    expected = go_on(runtime, 0, TOKENS, 0, length)
    limit = runtime.shortest(0, length)
    assert limit < length
    runtime.remove(0, limit, -1)
    # beyond the window's cells, they are taken again in another order
    tolerance = 0.0 if length < 512 else ORDER_TOLERANCE
    assert_same(go_on(runtime, 0, TOKENS, limit, length), expected[limit:], tolerance)


@pytest.mark.parametrize("length", [20, 300, 700])
def test_a_shared_prefix_is_exact_down_to_the_shortest(runtime: LlamaRuntime, length: int) -> None:
    expected = go_on(runtime, 1, TOKENS, 0, length + 6)
    runtime.remove(1, -1, -1)
    go_on(runtime, 0, TOKENS, 0, length)
    # the other takes cells that are no longer looked at, so the limit is another the second time
    for _ in range(2):
        end = max(runtime.shortest(0, length), 1)
        runtime.share(0, 1, end)
        logits = go_on(runtime, 1, TOKENS, end, length + 6)
        assert_same(logits, expected[end:], ORDER_TOLERANCE)
        runtime.remove(1, -1, -1)
    state = runtime.save(0, 0)
    runtime.remove(0, -1, -1)
    assert runtime.restore(0, [SavedRange(state, 0, length)])
    runtime.share(0, 1, length)
    assert runtime.shortest(1, length) == runtime.shortest(0, length)


def test_sequences_that_share_go_on_for_long(runtime: LlamaRuntime) -> None:
    """A window's cells that two sequences hold are nobody's to take back: each gets its own."""
    read(runtime, 0, TOKENS[:600])
    for target in (1, 2, 3):
        runtime.share(0, target, 600)
    ends = [go_on(runtime, sequence, TOKENS, 600, 900) for sequence in range(4)]
    for other in ends[1:]:
        assert typical(other, ends[0]) < ORDER_TOLERANCE


def test_a_gap_in_a_window_is_no_place_to_cut(zoo: Zoo, architecture: str) -> None:
    """Of an old range only its own last window is left, so nothing before the last is whole."""
    runtime = open_context(zoo.model(architecture))
    try:
        read(runtime, 0, TOKENS[:60])
        first = runtime.save(0, 0)
        read(runtime, 0, TOKENS[:200], 60)
        second = runtime.save(0, 60)
        expected = go_on(runtime, 0, TOKENS, 199 + 1, 206)
        runtime.remove(0, -1, -1)
        assert runtime.restore(0, [SavedRange(first, 0, 60), SavedRange(second, 60, 200)])
        assert runtime.shortest(0, 200) == 199
        assert_same(go_on(runtime, 0, TOKENS, 200, 206), expected)
        for target, ranges in enumerate(
            (
                [SavedRange(first, 0, 60), SavedRange(second, 60, 150)],
                [SavedRange(first, 0, 40)],
            ),
            start=1,
        ):
            assert not runtime.restore(target, ranges), "its window is not there"
            read(runtime, target, TOKENS[:20])  # it is empty
    finally:
        runtime.close()
