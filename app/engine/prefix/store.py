"""The host-memory tier: states of finished sequences, bounded in bytes, shared by all engines.

Each model has a tree of its own, which outlives the model's context: a model that was unloaded
and comes back finds its prefixes again. Engine threads and the owner of the models meet here, so
one lock guards trees and books; states themselves never change.
"""

import threading
from collections import OrderedDict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from app.core.memory import SavedRange
from app.core.stats import CacheTier
from app.engine.prefix.tree import Match, PrefixTree, Saved, ranges
from app.engine.runtime import Int32Array

# a sequence of so many states is restored slowly: its next state is a whole one
_MOST_PIECES = 32


@dataclass(frozen=True, slots=True)
class StoreStats:
    """What one model has in the store now, and how many of its states were thrown out so far."""

    bytes_by_tier: dict[CacheTier, int]
    entries_by_tier: dict[CacheTier, int]
    evictions: int


@dataclass(slots=True, eq=False)
class _Shelf:
    """One model's tree and books."""

    tree: PrefixTree = field(default_factory=PrefixTree)
    used_bytes: int = 0
    entries: int = 0
    evictions: int = 0


class PrefixStore:
    def __init__(self, capacity_bytes: int) -> None:
        """Zero keeps nothing."""
        self._capacity_bytes = capacity_bytes
        self.lock = threading.RLock()
        self._shelves: dict[str, _Shelf] = {}
        # oldest use first; a state is never younger than what it leans on
        self._kept: OrderedDict[Saved, _Shelf] = OrderedDict()
        self._used_bytes = 0

    def of_model(self, key: str) -> "ModelPrefixes | None":
        """`key` names everything that the bytes of a state depend on: the weights' file, the
        cache's type, the adapter. None where nothing is kept."""
        if not self._capacity_bytes:
            return None
        with self.lock:
            return ModelPrefixes(self, self._shelves.setdefault(key, _Shelf()))

    def touch(self, saved: Saved) -> None:
        """Mark as used just now, with all it leans on."""
        for piece in saved.chain():
            self._kept.move_to_end(piece)

    def keep(self, shelf: _Shelf, saved: Saved) -> bool:
        """Take a new state in, and throw others out for it; False when it cannot fit."""
        if not self._make_room(saved.size):
            return False
        self._kept[saved] = shelf
        self._used_bytes += saved.size
        shelf.used_bytes += saved.size
        shelf.entries += 1
        return True

    def _make_room(self, size: int) -> bool:
        if size > self._capacity_bytes:
            return False
        while self._used_bytes + size > self._capacity_bytes:
            victim = next((s for s in self._kept if not s.pins and not s.dependents), None)
            if victim is None:
                return False
            shelf = self._kept.pop(victim)
            self._used_bytes -= victim.size
            shelf.used_bytes -= victim.size
            shelf.entries -= 1
            shelf.evictions += 1
            shelf.tree.remove(victim)
        return True


class ModelPrefixes:
    """One model's part of the store."""

    def __init__(self, store: PrefixStore, shelf: _Shelf) -> None:
        self._store = store
        self._shelf = shelf

    def stats(self) -> StoreStats:
        shelf = self._shelf
        return StoreStats({"host": shelf.used_bytes}, {"host": shelf.entries}, shelf.evictions)

    def match(self, tokens: Int32Array) -> Match:
        with self._store.lock:
            return self._shelf.tree.match(tokens)

    @contextmanager
    def pieces(self, match: Match) -> Generator[list[SavedRange]]:
        """What to restore for a match, held in memory meanwhile. Empty when it is gone."""
        saved = match.saved
        if saved is None or not self.pin(saved):
            yield []
            return
        try:
            yield ranges(saved, match.usable)
        finally:
            self.unpin(saved)

    def first_missing(self, match: Match, *, can_save_ranges: bool) -> int:
        """From which position on a state must be saved so that all positions are kept."""
        saved = match.saved
        if not can_save_ranges or saved is None or saved.depth >= _MOST_PIECES - 1:
            return 0
        return match.usable

    def add(
        self, tokens: Int32Array, state: memoryview, start: int, shortest: int, match: Match
    ) -> Saved | None:
        """Keep the state of a sequence of `tokens`, saved from `start` on; what comes before is
        that of `match`. None when there is no room."""
        base = match.saved if start else None
        saved = Saved(state, start, len(tokens), shortest, base)
        with self._store.lock:
            if base is not None and not base.nodes:
                return None  # it was thrown away since
            for piece in saved.chain():
                piece.pins += 1
            is_kept = self._store.keep(self._shelf, saved)
            for piece in saved.chain():
                piece.pins -= 1
            if not is_kept:
                return None
            self._shelf.tree.insert(tokens, saved)
            self._store.touch(saved)
        return saved

    def pin(self, saved: Saved) -> bool:
        """Keep a state and all it leans on from being thrown away; False when it already was."""
        with self._store.lock:
            if not saved.nodes:
                return False
            for piece in saved.chain():
                piece.pins += 1
            self._store.touch(saved)
            return True

    def unpin(self, saved: Saved) -> None:
        with self._store.lock:
            for piece in saved.chain():
                piece.pins -= 1
