"""The host-memory tier: one tree for each model, and the states in memory, bounded in bytes.

A tree outlives its model's context: a model that was unloaded and comes back finds its prefixes
again. Engine threads, the disk's threads and the owner of the models meet here, so one lock guards
trees and books; states themselves never change.
"""

import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from itertools import chain
from weakref import WeakValueDictionary

from app.core.stats import CacheTier
from app.engine.prefix.tree import PrefixTree, Saved


@dataclass(slots=True, eq=False, weakref_slot=True)
class Shelf:
    """One model's tree and books; `key` is the digest of what its states depend on. What is under
    adapters has a shelf of its own, and counts for that of the model, its `owner`, too."""

    key: bytes
    owner: "Shelf | None" = None
    tree: PrefixTree = field(default_factory=PrefixTree)
    used_bytes: Counter[CacheTier] = field(default_factory=Counter[CacheTier])
    entries: Counter[CacheTier] = field(default_factory=Counter[CacheTier])
    evictions: int = 0

    def count(self, tier: CacheTier, entries: int, size: int) -> None:
        for books in (self, self.owner):
            if books is not None:
                books.entries[tier] += entries
                books.used_bytes[tier] += size

    def forget(self, saved: Saved) -> None:
        """Nothing has the bytes of a state any more."""
        self.tree.remove(saved)
        for books in (self, self.owner):
            if books is not None:
                books.evictions += 1

    def belong(self, owner: "Shelf") -> None:
        """It is one of the owner's from now on, with all that it has."""
        if self.owner is None:
            self.owner = owner
            owner.entries.update(self.entries)
            owner.used_bytes.update(self.used_bytes)


class HostTier:
    """Hold `lock` around everything but the constructor and `shelf`."""

    def __init__(self, capacity_bytes: int, backlog_bytes: int = 0) -> None:
        """`backlog_bytes`: of what waits to be written to files, so much is not counted."""
        self._capacity_bytes = capacity_bytes
        self._backlog_bytes = backlog_bytes
        self.lock = threading.RLock()
        self._shelves: dict[bytes, Shelf] = {}
        # there may be any number of sets of adapters: these last while there is something on them
        self._adapted: WeakValueDictionary[bytes, Shelf] = WeakValueDictionary()
        # oldest use first; a state is never younger than what it leans on
        self.kept: OrderedDict[Saved, Shelf] = OrderedDict()
        self.used_bytes = 0
        self._unwritten_bytes = 0

    def shelf(self, key: bytes) -> Shelf:
        """A model's own, made on first use; or what stays, whoever has made it."""
        with self.lock:
            found = self._shelves.get(key) or self._adapted.pop(key, None) or Shelf(key)
            return self._shelves.setdefault(key, found)

    def adapted_shelf(self, key: bytes, owner: Shelf) -> Shelf:
        """What a model has under some adapters. `key` as of any shelf."""
        with self.lock:
            found = self._shelves.get(key) or self._adapted.get(key)
            if found is None:
                found = self._adapted[key] = Shelf(key, owner)
            found.belong(owner)
            return found

    def touch(self, saved: Saved) -> None:
        """Mark as used just now, with all it leans on."""
        for piece in saved.chain():
            if piece.state is not None:
                self.kept.move_to_end(piece)

    def hold(self, shelf: Shelf, saved: Saved, state: memoryview) -> None:
        """Take a state's bytes in; `make_room` comes before or after."""
        saved.state = state
        self.kept[saved] = shelf
        self._count(saved, 1)

    def can_wait(self, size: int) -> bool:
        """Whether a state may wait to be written, without a place among the others."""
        return 0 < self._unwritten_bytes + size <= self._backlog_bytes

    def make_room(self, size: int = 0) -> bool:
        """Let states go until `size` bytes fit; False where they cannot."""
        if size > self._capacity_bytes:
            return False
        while not self._fits(size):
            victim = self._victim()
            if victim is None:
                return False
            shelf = self.kept[victim]
            self.let_go(victim)
            if not victim.file:
                shelf.forget(victim)
        return True

    def let_go(self, saved: Saved) -> None:
        """Free a state's bytes."""
        self.settle(saved)
        self._count(saved, -1)
        del self.kept[saved]
        saved.state = None

    def expect_file(self, saved: Saved) -> None:
        """A state in memory waits to be written."""
        saved.is_unwritten = True
        self._unwritten_bytes += saved.size

    def settle(self, saved: Saved) -> None:
        """It waits no more: it was written, or never will be."""
        if saved.is_unwritten:
            saved.is_unwritten = False
            self._unwritten_bytes -= saved.size

    def _count(self, saved: Saved, sign: int) -> None:
        self.used_bytes += sign * saved.size
        self.kept[saved].count("host", sign, sign * saved.size)

    def _fits(self, size: int) -> bool:
        excused = min(self._unwritten_bytes, self._backlog_bytes)
        return self.used_bytes + size - excused <= self._capacity_bytes

    def _victim(self) -> Saved | None:
        """The least recently used: first of what is on disk too, then of what nothing leans on."""
        idle = (saved for saved in self.kept if not saved.pins and not saved.dependents)
        if not self._backlog_bytes:
            return next(idle, None)
        on_disk = (saved for saved in self.kept if not saved.pins and saved.file)
        if self._unwritten_bytes <= self._backlog_bytes:  # what is not counted need not go
            idle = (saved for saved in idle if not saved.is_unwritten)
        return next(chain(on_disk, idle), None)
