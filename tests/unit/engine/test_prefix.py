"""The prefix store against a plain list of everything that was put in."""

import random

import numpy as np
import pytest

from app.engine.prefix.host import HostTier
from app.engine.prefix.store import ModelPrefixes, PrefixStore
from app.engine.prefix.tree import common_prefix


def tokens(*ids: int) -> np.ndarray:
    return np.array(ids, np.int32)


def model(capacity: int = 10_000, key: str = "m") -> ModelPrefixes:
    found = PrefixStore(capacity).of_model(key)
    assert found is not None
    return found


def put(prefixes: ModelPrefixes, ids: np.ndarray, *, is_cuttable: bool = True) -> bool:
    """Save a sequence as the engine does; its state spells its tokens."""
    match = prefixes.match(ids)
    start = prefixes.first_missing(match, can_save_ranges=is_cuttable)
    state = memoryview(bytearray(ids[start:].astype(np.uint8).tobytes()))
    shortest = 0 if is_cuttable else len(ids)
    saved = prefixes.add(ids, state, start, shortest, match)
    if saved is not None:
        prefixes.unpin(saved)
    return saved is not None


def got(prefixes: ModelPrefixes, ids: np.ndarray) -> list[int]:
    """The tokens that can be restored."""
    restored: list[int] = []
    with prefixes.pieces(prefixes.match(ids)) as pieces:
        for piece in pieces:
            assert piece.start == len(restored)
            restored += piece.state.tolist()[: piece.end - piece.start]
    return restored


@pytest.mark.parametrize("seed", range(10))
def test_the_longest_prefix_is_found_and_spells_its_tokens(seed: int) -> None:
    chance = np.random.default_rng(seed)
    prefixes, kept = model(10**6), list[np.ndarray]()
    for _ in range(150):
        ids = chance.integers(1, 4, chance.integers(1, 30)).astype(np.int32)
        expected = max((common_prefix(other, ids) for other in kept), default=0)
        assert got(prefixes, ids) == ids[:expected].tolist()
        if expected < len(ids):
            assert put(prefixes, ids)
            kept.append(ids)


@pytest.mark.parametrize("seed", range(10))
def test_states_that_cannot_be_cut_are_found_at_their_ends_only(seed: int) -> None:
    chance = np.random.default_rng(seed)
    prefixes, kept = model(10**6), list[np.ndarray]()
    for _ in range(150):
        ids = chance.integers(1, 3, chance.integers(1, 12)).astype(np.int32)
        whole = [len(other) for other in kept if common_prefix(other, ids) == len(other)]
        assert got(prefixes, ids) == ids[: max(whole, default=0)].tolist()
        if max(whole, default=0) < len(ids):
            assert put(prefixes, ids, is_cuttable=False)
            kept.append(ids)


def test_what_is_known_is_told_even_where_no_state_can_be_used() -> None:
    prefixes = model()
    put(prefixes, tokens(1, 2, 3, 4), is_cuttable=False)
    match = prefixes.match(tokens(1, 2, 9))
    assert (match.known, match.usable, match.saved) == (2, 0, None)


def test_a_shared_beginning_is_kept_once() -> None:
    prefixes = model()
    put(prefixes, tokens(*[1] * 100, 2))
    put(prefixes, tokens(*[1] * 100, 3, 3))
    assert prefixes.stats().bytes_by_tier == {"host": 103}


@pytest.mark.parametrize("seed", range(10))
def test_the_bound_holds_and_what_is_left_is_right(seed: int) -> None:
    chance = np.random.default_rng(seed)
    prefixes = model(120)
    for _ in range(300):
        ids = chance.integers(1, 4, chance.integers(1, 30)).astype(np.int32)
        put(prefixes, ids)
        assert 0 < prefixes.stats().bytes_by_tier["host"] <= 120
        again = chance.integers(1, 4, 20).astype(np.int32)
        restored = got(prefixes, again)
        assert restored == again[: len(restored)].tolist()
    assert prefixes.stats().evictions > 100


def test_the_least_recently_used_leaves_and_bases_last() -> None:
    prefixes = model(100)
    chat, other = tokens(*[1] * 40), tokens(*[2] * 40)
    put(prefixes, chat)
    put(prefixes, other)
    longer = tokens(*[1] * 60)
    assert got(prefixes, longer) == [1] * 40
    put(prefixes, longer)
    put(prefixes, tokens(*[3] * 30))
    assert got(prefixes, other) == []
    assert got(prefixes, longer) == [1] * 60


def test_a_pinned_state_stays_and_nothing_else_fits() -> None:
    prefixes = model(50)
    parked = tokens(*[1] * 40)
    put(prefixes, parked)
    saved = prefixes.match(parked).saved
    assert saved is not None
    assert prefixes.pin(saved)
    assert not put(prefixes, tokens(*[2] * 40))
    assert got(prefixes, parked) == [1] * 40
    prefixes.unpin(saved)
    assert put(prefixes, tokens(*[2] * 40))
    assert got(prefixes, parked) == []
    assert not prefixes.pin(saved)


def test_all_leaves_again() -> None:
    prefixes = model(200)
    chance = random.Random(1)
    for _ in range(200):
        put(prefixes, tokens(*(chance.randint(1, 3) for _ in range(chance.randint(1, 20)))))
    put(prefixes, tokens(*[7] * 200))
    assert prefixes.stats().entries_by_tier == {"host": 1}
    assert prefixes.stats().bytes_by_tier == {"host": 200}
    assert prefixes.match(tokens(1, 1, 1, 1)).known == 0, "no token is left of what is gone"


def test_models_have_nothing_in_common_but_the_bound() -> None:
    store = PrefixStore(100)
    one, two = store.of_model("one"), store.of_model("two")
    assert one is not None
    assert two is not None
    put(one, tokens(*[1] * 60))
    assert got(two, tokens(*[1] * 60)) == []
    put(two, tokens(*[2] * 60))
    assert one.stats().bytes_by_tier == {"host": 0}
    assert one.stats().evictions == 1
    again = store.of_model("two")
    assert again is not None
    assert got(again, tokens(2, 2)) == [2, 2], "a model that comes back finds its own"


def test_what_an_adapter_has_is_found_whoever_comes_first() -> None:
    host = HostTier(1000)
    owner = host.shelf(b"model")
    used = host.adapted_shelf(b"adapted", owner)
    used.count("host", 1, 5)
    assert host.shelf(b"adapted") is used, "the directory was read when it was in use already"
    assert host.adapted_shelf(b"adapted", owner) is used
    assert owner.entries == {"host": 1}


def test_long_chats_are_kept_whole_now_and_then() -> None:
    prefixes = model(10**6)
    for turn in range(1, 100):
        put(prefixes, tokens(*[1] * 5 * turn))
    match = prefixes.match(tokens(*[1] * 495))
    with prefixes.pieces(match) as pieces:
        assert 0 < len(pieces) <= 32
    assert got(prefixes, tokens(*[1] * 600)) == [1] * 495


def test_nothing_is_kept_without_room() -> None:
    assert PrefixStore(0).of_model("m") is None
