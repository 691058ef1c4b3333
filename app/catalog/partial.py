"""A file that is being downloaded: its bytes so far, and the books of which ones they are.

The books are written after the bytes they speak of, so that whatever ends the process, what they
call done is there.
"""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.catalog.transfer import Identity

Span = tuple[int, int]


class Partial:
    """Bytes in `path`, books in `path` + `.json`. One writer at a time, from one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._books = path.with_name(path.name + ".json")
        self._done: list[Span] = []
        self._file: int | None = None
        self.identity: Identity | None = None

    @property
    def done(self) -> int:
        """Bytes that are here."""
        return sum(end - start for start, end in self._done)

    def open(self, identity: Identity, url: str) -> None:
        """Go on with what is here where it is of the same version, else begin anew."""
        self.close()
        kept = self._read_books()
        described = {"url": url, "size": identity.size, "etag": identity.etag}
        can_resume = (
            identity.has_ranges
            and identity.size is not None
            and self.path.is_file()
            and all(kept.get(key) == value for key, value in described.items())
        )
        self.identity = identity
        self._described = described
        self._done = [(a, b) for a, b in kept["done"]] if can_resume else []
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        os.ftruncate(self._file, identity.size or 0)

    def missing(self, longest: int) -> list[Span]:
        """What is still to be fetched, in spans of at most `longest` bytes."""
        size = (self.identity.size if self.identity else None) or 0
        spans: list[Span] = []
        position = 0
        for start, end in [*self._done, (size, size)]:
            while position < start:
                step = min(start, position + longest)
                spans.append((position, step))
                position = step
            position = max(position, end)
        return spans

    def write(self, start: int, data: bytes) -> None:
        if self._file is None:
            raise ValueError("the file is not open")
        view = memoryview(data)
        position = start
        while view:
            count = os.pwrite(self._file, view, position)
            view, position = view[count:], position + count
        self._done = _merge([*self._done, (start, position)])

    def save(self) -> None:
        """Make sure that a new process finds what is done by now."""
        if self._file is None:
            return
        done = list(self._done)
        os.fsync(self._file)
        written = self._books.with_name(self._books.name + ".new")
        written.write_text(json.dumps({**self._described, "done": done}))
        written.replace(self._books)

    def close(self) -> None:
        """Idempotent."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def forget(self) -> None:
        """Remove everything."""
        self.close()
        self._done = []
        for path in (self.path, self._books):
            path.unlink(missing_ok=True)

    def move_to(self, target: Path) -> None:
        """The whole file appears under its name at once."""
        if self._file is not None:
            os.fsync(self._file)
        self.close()
        target.parent.mkdir(parents=True, exist_ok=True)
        self.path.replace(target)
        self._books.unlink(missing_ok=True)
        folder = os.open(target.parent, os.O_RDONLY)
        with suppress(OSError):  # not every file system can
            os.fsync(folder)
        os.close(folder)

    def _read_books(self) -> dict[str, Any]:
        try:
            kept = json.loads(self._books.read_text())
            spans = [(int(start), int(end)) for start, end in kept["done"]]
            return {**kept, "done": _merge(spans)}
        except (OSError, ValueError, TypeError, KeyError):
            return {"done": []}


def _merge(spans: Sequence[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged
