"""States of finished sequences, in memory and on disk: one tree for both, shared by all engines."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.core.adapters import AdapterSet
from app.core.memory import SavedRange
from app.core.stats import CacheTier
from app.engine.prefix import files
from app.engine.prefix.disk import DiskTier
from app.engine.prefix.host import HostTier, Shelf
from app.engine.prefix.reader import Reading
from app.engine.prefix.tree import Match, Saved, ranges
from app.engine.runtime import Int32Array

# a sequence of so many states is restored slowly: its next state is a whole one
_MOST_PIECES = 32
# bytes that may wait to be written beside those in the host tier
_BACKLOG_BYTES = 256 * 1024**2
_CLOSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class StoreStats:
    """What one model has in the store now, and how many of its states were thrown out so far."""

    bytes_by_tier: dict[CacheTier, int]
    entries_by_tier: dict[CacheTier, int]
    evictions: int


class PrefixStore:
    def __init__(
        self, capacity_bytes: int, directory: Path | None = None, disk_bytes: int = 0
    ) -> None:
        """`capacity_bytes` of memory, and `disk_bytes` of files in `directory`. Nothing is kept
        where both are zero."""
        has_disk = directory is not None and disk_bytes > 0
        self._keeps = has_disk or capacity_bytes > 0
        self.host = HostTier(capacity_bytes, _BACKLOG_BYTES if has_disk else 0)
        self.disk = DiskTier(self.host, directory, disk_bytes) if directory and has_disk else None

    def start(self) -> None:
        """Begin to read the directory; returns at once."""
        if self.disk is not None:
            self.disk.start()

    def close(self) -> None:
        """Bring what is in memory to disk; waits some seconds at most."""
        if self.disk is not None:
            self.disk.close(_CLOSE_SECONDS)

    def of_model(
        self, key: str, adapter_keys: Mapping[str, str] | None = None
    ) -> "ModelPrefixes | None":
        """`key` names everything that the bytes of a state depend on: the weights' file, the
        cache's type; those of `adapter_keys` name each adapter's file. None where nothing is
        kept."""
        if not self._keeps:
            return None
        shelf = self.host.shelf(files.digest(key.encode()))
        return ModelPrefixes(self, shelf, adapter_keys or {})


class ModelPrefixes:
    """One model's part of the store; what was computed under adapters is a part of its own."""

    def __init__(self, store: PrefixStore, shelf: Shelf, adapter_keys: Mapping[str, str]) -> None:
        self._store = store
        self._host, self._disk = store.host, store.disk
        self._lock = store.host.lock
        self._shelf = shelf
        self._adapter_keys = adapter_keys

    def under(self, adapters: AdapterSet) -> "ModelPrefixes":
        """The part of what is computed under these adapters, as they are scaled. Nothing of one
        part is ever found in another."""
        if not adapters:
            return self
        keys = [(self._adapter_keys[name], scale) for name, scale in adapters]
        key = files.digest(self._shelf.key, repr(keys).encode())
        return ModelPrefixes(self._store, self._host.adapted_shelf(key, self._shelf), {})

    def stats(self) -> StoreStats:
        """Of all parts together."""
        shelf = self._shelf
        tiers: list[CacheTier] = ["host"] if self._disk is None else ["host", "disk"]
        return StoreStats(
            {tier: shelf.used_bytes[tier] for tier in tiers},
            {tier: shelf.entries[tier] for tier in tiers},
            shelf.evictions,
        )

    def match(self, tokens: Int32Array, *, in_memory: bool = False) -> Match:
        """`in_memory`: only of what need not be read from disk."""
        with self._lock:
            return self._shelf.tree.match(tokens, in_memory=in_memory)

    @contextmanager
    def held(self, tokens: Int32Array) -> Generator[Match]:
        """As `match`, of which nothing is thrown away meanwhile."""
        with self._lock:
            match = self.match(tokens)
            if match.saved is not None:
                self._pin(match.saved, 1)
        try:
            yield match
        finally:
            if match.saved is not None:
                self.unpin(match.saved)

    @contextmanager
    def pieces(self, match: Match) -> Generator[list[SavedRange]]:
        """What to restore for a match, held in memory meanwhile. Empty when it is not there."""
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
        that of `match`. It is pinned. None when there is no room."""
        base = match.saved if start else None
        saved = Saved(tokens[start:].copy(), start, shortest, len(state), base)
        with self._lock:
            if base is not None and not base.nodes:
                return None  # it was thrown away since
            self._pin(saved, 1)
            has_room = self._host.can_wait(saved.size) or self._host.make_room(saved.size)
            self._pin(saved, -1)
            if not has_room:
                return None
            self._host.hold(self._shelf, saved, state)
            self._shelf.tree.insert(tokens, saved)
            self._touch(saved)
            if self._disk is not None:
                self._disk.offer(self._shelf, saved)
                self._host.make_room()  # where it does not wait to be written, it must fit
            return saved if self.pin(saved) else None

    def pin(self, saved: Saved) -> bool:
        """Keep a state and all it leans on from being thrown away; False when it already was."""
        with self._lock:
            if not saved.nodes:
                return False
            self._pin(saved, 1)
            self._touch(saved)
            return True

    def unpin(self, saved: Saved) -> None:
        with self._lock:
            self._pin(saved, -1)
            self._host.make_room()

    def read(self, match: Match, wake: Callable[[], None]) -> Reading | None:
        """Begin to bring a match from disk to memory, and hold it there until `end_reading`;
        `wake` is called from another thread when that is done. None where it is not possible."""
        saved = match.saved
        with self._lock:
            if self._disk is None or saved is None or not self.pin(saved):
                return None
            reading = self._disk.reader.ask(saved, wake)
            if reading is None:
                self.unpin(saved)
            return reading

    def end_reading(self, reading: Reading) -> None:
        reading.is_wanted = False
        self.unpin(reading.saved)

    def _touch(self, saved: Saved) -> None:
        self._host.touch(saved)
        if self._disk is not None:
            self._disk.touch(saved)

    def _pin(self, saved: Saved, count: int) -> None:
        for piece in saved.chain():
            piece.pins += count
