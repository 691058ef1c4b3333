"""Ctrl-C ends what runs, or else what runs next; never the program."""

import asyncio
import signal
from collections.abc import Coroutine
from types import FrameType
from typing import Any, Self, TypeVar

T = TypeVar("T")


class Interrupted(Exception):
    """Ctrl-C was pressed; what ran has ended."""


class Interrupts:
    """Takes every Ctrl-C while it is entered, for one piece of work after the other. One that comes
    in between, while nothing runs, is kept for the next."""

    def __init__(self) -> None:
        self._task: asyncio.Task[Any] | None = None
        self._has_come = False

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`. Raises Interrupted once Ctrl-C has cancelled it."""
        task = self._task = asyncio.create_task(work)
        if self._has_come:  # asked only now: what comes from here on cancels the task itself
            task.cancel()
        try:
            await asyncio.wait({task})
        finally:
            self._task = None
            task.cancel()
        if task.cancelled():
            self._has_come = False
            raise Interrupted
        return task.result()

    def _note(self, _signal: int, _frame: FrameType | None) -> None:
        self._has_come = True  # until something was cancelled: what runs may just be ending
        if self._task is not None:
            # As a timer it comes after what sockets bring in the same round of the loop. anyio's
            # Unix sockets fail aloud when they bring something for a read that was cancelled.
            loop = self._task.get_loop()
            loop.call_soon_threadsafe(loop.call_later, 0, self._task.cancel)
