"""A thread that reads states from disk, so that nobody else waits for it."""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from app.engine.prefix.tree import Saved

_SECONDS, _BYTES_PER_SECOND = 1.0, 50e6  # slower than this is too late


@dataclass(slots=True, eq=False)
class Reading:
    """A state, and all it leans on, on the way from its files to memory; pinned meanwhile."""

    saved: Saved
    deadline: float
    wake: Callable[[], None]
    is_done: bool = False
    is_wanted: bool = True

    @property
    def is_pending(self) -> bool:
        return not self.is_done and time.monotonic() < self.deadline


class Reader:
    def __init__(self, load: Callable[[Saved], None]) -> None:
        """`load` brings a state, and all it leans on, to memory as far as it can."""
        self._load = load
        self._asked: queue.SimpleQueue[Reading] = queue.SimpleQueue()
        self._unread: list[Reading] = []
        self._thread = threading.Thread(target=self._work, name="prefix-reader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ask(self, saved: Saved, wake: Callable[[], None]) -> Reading | None:
        """Begin to read; `wake` is called at the end, whatever it was. None while the disk does
        not answer. One caller at a time."""
        now = time.monotonic()
        self._unread = [reading for reading in self._unread if not reading.is_done]
        if any(reading.deadline < now for reading in self._unread):
            return None
        size = sum(piece.size for piece in saved.chain() if piece.state is None)
        start = max([now, *(reading.deadline - _SECONDS for reading in self._unread)])
        reading = Reading(saved, start + _SECONDS + size / _BYTES_PER_SECOND, wake)
        self._unread.append(reading)
        self._asked.put(reading)
        return reading

    def _work(self) -> None:
        while True:
            reading = self._asked.get()
            if reading.is_wanted:
                self._load(reading.saved)
            reading.is_done = True
            reading.wake()
