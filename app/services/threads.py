"""Work on a leased model in a thread, without ever giving the lease back too early."""

import asyncio
import contextvars
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

_Result = TypeVar("_Result")


async def run_in_thread(work: Callable[[], _Result]) -> _Result:
    """The result of `work`, run off the event loop.

    A thread cannot be stopped: a caller that is cancelled meanwhile still waits for it to end.
    Otherwise the lease would go back, and the model be freed, under a thread that reads it.
    """
    context = contextvars.copy_context()
    running = asyncio.get_running_loop().run_in_executor(None, context.run, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({running})
        running.exception()  # nobody waits for it any more
        raise
