"""The slow work that the pool's owner orders: it runs beside the owner and ends with an event."""

import asyncio
import time
from collections.abc import Callable, Coroutine

import structlog

from app.core.errors import CorralError
from app.pool.events import Event, Loaded, Measured, Unloaded
from app.pool.loader import Loader, Resident
from app.pool.refusals import cannot_load
from app.pool.slot import Slot

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

    def load(self, slot: Slot) -> None:
        self._spawn(self._load(slot))

    def unload(self, slot: Slot) -> None:
        self._spawn(self._unload(slot))

    async def settled(self) -> None:
        """Until all that was begun has ended."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def _measure(self, slot: Slot) -> None:
        result: int | CorralError
        try:
            result = await self._loader.measure(slot.entry)
        except CorralError as error:
            result = error
        except Exception as error:
            _log.exception("measuring failed", model=slot.name)
            result = cannot_load(slot, error)
        self._report(Measured(slot, result))

    async def _load(self, slot: Slot) -> None:
        started = time.monotonic()
        _log.info("loading model", model=slot.entry.id, file=slot.entry.path.name)
        result: Resident | CorralError
        try:
            result = await self._loader.load(slot.entry)
        except CorralError as error:
            result = error
        except Exception as error:
            _log.exception("loading failed", model=slot.entry.id)
            result = cannot_load(slot, error)
        self._report(Loaded(slot, result, time.monotonic() - started))

    async def _unload(self, slot: Slot) -> None:
        try:
            if slot.resident is not None:
                await slot.resident.close()
        except Exception:
            _log.exception("unloading failed", model=slot.entry.id)
        _log.info("model unloaded", model=slot.entry.id)
        self._report(Unloaded(slot))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
