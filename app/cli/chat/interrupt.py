"""Ctrl-C ends what runs, and not the program."""

import asyncio
import signal
from collections.abc import Coroutine
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")


class Interrupted(Exception):
    """Ctrl-C was pressed; what ran has ended."""


async def run_interruptibly(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`. Raises Interrupted once Ctrl-C has cancelled it."""
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(work)

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(task.cancel)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        await asyncio.wait({task})
    finally:
        signal.signal(signal.SIGINT, before)
        task.cancel()
    if task.cancelled():
        raise Interrupted
    return task.result()
