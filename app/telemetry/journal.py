"""The last requests, kept in memory for whoever watches the server: what the log says of them."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """A request that has been answered at `ended` (Unix seconds). `line` holds the fields of its
    log line: figures and names, never a prompt, an answer or a key."""

    number: int
    ended: float
    line: Mapping[str, Any]


class Journal:
    """The newest `capacity` entries, numbered from 1. Use it on the event loop only."""

    def __init__(self, capacity: int = 500) -> None:
        self._entries: deque[JournalEntry] = deque(maxlen=capacity)
        self._last = 0
        self._news = asyncio.Event()

    def add(self, line: Mapping[str, Any]) -> None:
        self._last += 1
        self._entries.append(JournalEntry(self._last, time.time(), line))
        self._news.set()
        self._news = asyncio.Event()

    def since(self, number: int = 0) -> tuple[JournalEntry, ...]:
        """Entries after `number`, the oldest first."""
        return tuple(entry for entry in self._entries if entry.number > number)

    async def follow(self, number: int = 0) -> AsyncGenerator[JournalEntry, None]:
        """Entries after `number`, and then each as it comes. Who reads slowly misses some."""
        while True:
            news = self._news
            for entry in self.since(number):
                number = entry.number
                yield entry
            if news is self._news:
                await news.wait()
