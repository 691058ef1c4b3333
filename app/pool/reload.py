"""Follows `models.yaml` and what is pulled: that is what is served, without a restart."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from app.catalog.entries import ModelEntry
from app.core.errors import CorralError
from app.pool.roster import Changes

_LOOK_SECONDS = 1.0

_log = structlog.stdlib.get_logger("corral.pool")


@dataclass(frozen=True, slots=True)
class Catalog:
    """What is served, and the id of the model that also answers to `default`."""

    entries: Sequence[ModelEntry]
    default: str


class Pool(Protocol):
    def replace(self, entries: Sequence[ModelEntry], default: str | None = None) -> Changes: ...


class Reloader:
    """Gives the pool a new catalog when somebody asks for it, or when something changed."""

    def __init__(self, pool: Pool, read: Callable[[], Catalog], *watched: Path | None) -> None:
        """`read` makes the catalog anew; it may block, and raises ConfigurationError. `watched`:
        the manifest, and a directory that changes when models come; each may be absent."""
        self._pool = pool
        self._read = read
        self._watched = [path for path in watched if path is not None]
        self._seen = self._look()
        self._lock = asyncio.Lock()

    async def reload(self) -> Changes:
        """Read manifest and models directory again. Raises ConfigurationError, with file, line and
        key of every mistake; then everything stays as it is."""
        async with self._lock:
            self._seen = self._look()
            catalog = await asyncio.to_thread(self._read)
            changes = self._pool.replace(catalog.entries, catalog.default)
        _log.info(
            "models read again",
            added=list(changes.added),
            removed=list(changes.removed),
            changed=list(changes.changed),
        )
        return changes

    async def reload_or_log(self) -> None:
        """For callers to whom nobody could answer: a mistake goes to the log."""
        try:
            await self.reload()
        except CorralError as error:
            for line in error.message.splitlines():
                _log.error("models not read again, the old ones stay", reason=line)

    async def watch(self) -> None:
        """Reload whenever what is watched changes; ends when it is cancelled. A look every second
        is all that works on every file system, in containers too, however an editor writes."""
        while self._watched:
            await asyncio.sleep(_LOOK_SECONDS)
            if self._look() != self._seen:
                await self.reload_or_log()

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [_look(path) for path in self._watched]


def _look(path: Path) -> tuple[int, int, int] | None:
    """What is different after every change of a file; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
