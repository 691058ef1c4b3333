"""Checks a model file against the digest in the manifest, once for each version of the file."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

from app.catalog.entries import ModelEntry
from app.core.errors import ModelLoadFailed

_CHUNK = 4 * 1024 * 1024


class Verifier:
    """Remembers what it hashed: a file is read again only when its size or time changed."""

    def __init__(self) -> None:
        self._digests: dict[tuple[Path, int, int], str] = {}

    async def verify(
        self, entry: ModelEntry, is_stopped: Callable[[], bool] = lambda: False
    ) -> None:
        """Raises ModelLoadFailed when the file, or one that goes with it, is damaged or not the
        one that the manifest means.

        `is_stopped` is asked while a large file is read: True gives up.
        """
        if entry.error is not None:
            raise ModelLoadFailed(f"The file {entry.path} cannot be used: {entry.error}.")
        for one in (entry, *entry.companions, *entry.lora):
            if one.sha256 is not None:
                await self._check_digest(one.path, one.sha256, is_stopped)

    async def _check_digest(
        self, path: Path, expected: str, is_stopped: Callable[[], bool]
    ) -> None:
        key = _identify(path)
        if key not in self._digests:
            self._digests[key] = await asyncio.to_thread(_hash, path, is_stopped)
        if self._digests[key] != expected:
            raise ModelLoadFailed(
                f"The file {path} cannot be used: its SHA-256 is {self._digests[key]}, "
                f"the manifest says {expected}."
            )


def _identify(path: Path) -> tuple[Path, int, int]:
    """What changes with the file."""
    stat = path.stat()
    return path, stat.st_size, stat.st_mtime_ns


def _hash(path: Path, is_stopped: Callable[[], bool]) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if is_stopped():
                raise ModelLoadFailed(f"Checking {path.name} was stopped.")
            digest.update(chunk)
    return digest.hexdigest()
