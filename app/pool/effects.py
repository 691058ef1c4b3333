"""The slow work that the pool's owner orders: it runs beside the owner and ends with an event."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

import structlog

from app.core.errors import CorralError
from app.pool.events import Cooled, Event, Heated, Loaded, Measured, Mended, Unloaded
from app.pool.loader import Loader, Progress
from app.pool.refusals import cannot_load, file_gone
from app.pool.resident import Resident
from app.pool.slot import Slot

T = TypeVar("T")

_log = structlog.stdlib.get_logger("corral.pool")


class Effects:
    """Call it on the owner's event loop. Nothing here changes a slot."""

    def __init__(self, loader: Loader, report: Callable[[Event], None]) -> None:
        """`report` brings an event to the owner."""
        self._loader = loader
        self._report = report
        self._tasks: set[asyncio.Task[None]] = set()

    def measure(self, slot: Slot) -> None:
        self._spawn(self._measure(slot))

    def load(self, slot: Slot, progress: Progress) -> None:
        self._spawn(self._load(slot, progress))

    def cool(self, slot: Slot, resident: Resident) -> None:
        self._spawn(self._cool(slot, resident))

    def heat(self, slot: Slot, resident: Resident) -> None:
        self._spawn(self._heat(slot, resident))

    def mend(self, slot: Slot, resident: Resident) -> None:
        self._spawn(self._mend(slot, resident))

    def unload(self, slot: Slot, resident: Resident) -> None:
        self._spawn(self._unload(slot, resident))

    async def settled(self) -> None:
        """Until all that was begun has ended."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def _measure(self, slot: Slot) -> None:
        result = await _try(slot, "measuring", self._loader.measure(slot.entry))
        self._report(Measured(slot, result))

    async def _load(self, slot: Slot, progress: Progress) -> None:
        started = time.monotonic()
        _log.info("loading model", model=slot.entry.id, file=slot.entry.path.name)
        result = await _try(slot, "loading", self._loader.load(slot.entry, progress))
        self._report(Loaded(slot, result, time.monotonic() - started))

    async def _cool(self, slot: Slot, resident: Resident) -> None:
        await _try(slot, "freeing the contexts", resident.cool())
        self._report(Cooled(slot))

    async def _heat(self, slot: Slot, resident: Resident) -> None:
        started = time.monotonic()
        error = await _try(slot, "making contexts", resident.heat())
        self._report(Heated(slot, error, time.monotonic() - started))

    async def _mend(self, slot: Slot, resident: Resident) -> None:
        result = await _try(slot, "replacing an engine", resident.mend())
        error = result if isinstance(result, CorralError) else None
        self._report(Mended(slot, 0 if isinstance(result, CorralError) else result, error))

    async def _unload(self, slot: Slot, resident: Resident) -> None:
        await _try(slot, "unloading", resident.close())
        _log.info("model unloaded", model=slot.entry.id)
        self._report(Unloaded(slot))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _try(slot: Slot, what: str, work: Awaitable[T]) -> T | CorralError:
    """What comes of it, or the error that callers are told."""
    try:
        return await work
    except Exception as error:
        if _is_gone(slot):  # deleted meanwhile, whatever that led to
            return file_gone(slot)
        if isinstance(error, CorralError):
            return error
        _log.exception("%s failed", what, model=slot.name)
        return cannot_load(slot, error)


def _is_gone(slot: Slot) -> bool:
    return not all(path.exists() for path in slot.entry.paths)
