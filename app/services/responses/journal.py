"""Writes down running responses, many in one transaction and beside the streams: what is lost when
the process is killed was generated in the last tenth of a second."""

import asyncio

import structlog

from app.core.errors import StoreUnavailable
from app.services.responses.run import Run
from app.storage.responses import ResponseStore

PAUSE = 0.1
"""Seconds between two transactions."""
_AGAIN = 2.0
"""Seconds until one that failed is tried again, and between two looks whether somebody wants a
response cancelled in which nothing happens."""

_log = structlog.stdlib.get_logger("corral.responses")


class Journal:
    """`start()` and `close()` it. Each run is written by one transaction after the other."""

    def __init__(self, store: ResponseStore) -> None:
        self._store = store
        self._dirty: set[Run] = set()
        self._running: set[Run] = set()
        self._lost: set[Run] = set()
        self._lock = asyncio.Lock()
        self._work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._write())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def note(self, run: Run) -> None:
        if run not in self._lost:
            self._running.add(run)
            self._dirty.add(run)
            self._work.set()

    async def flush(self, run: Run) -> bool:
        """Whoever waits for the same transaction is written with it."""
        if run in self._lost:
            return False
        self._dirty.add(run)
        async with self._lock:
            if run in self._dirty:
                await self._write_dirty()
        return run not in self._dirty and run not in self._lost

    def finish(self, run: Run) -> None:
        """It is over; its end may still have to be written."""
        self._running.discard(run)
        if run in self._dirty:
            self._work.set()

    def forget(self, run: Run) -> None:
        self._dirty.discard(run)
        self._lost.discard(run)

    async def _write(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_AGAIN):
                    await self._work.wait()
            except TimeoutError:
                self._dirty |= self._running
            self._work.clear()
            async with self._lock:
                has_failed = not await self._write_dirty()
            await asyncio.sleep(_AGAIN if has_failed else PAUSE)

    async def _write_dirty(self) -> bool:
        """Whether nothing is left to be written."""
        waiting, self._dirty = self._dirty, set()
        try:
            if await self._save(waiting):
                waiting.clear()
            for run in tuple(waiting):  # one that cannot be written takes no other with it
                if not await self._save({run}):
                    self._lost.add(run)
                    self._running.discard(run)
                waiting.discard(run)
        except StoreUnavailable:
            return False
        finally:
            self._dirty |= waiting
        return True

    async def _save(self, runs: set[Run]) -> bool:
        """In one transaction. False where that fails by a mistake of ours: answers that are not
        kept go on. Raises StoreUnavailable."""
        batch = {run: run.progress() for run in runs}
        if not batch:
            return True
        try:
            wanted = await self._store.save(batch.values())
        except StoreUnavailable:
            raise
        except Exception:
            _log.exception("responses cannot be written", count=len(runs))
            return False
        for run, progress in batch.items():
            run.mark_written(progress)
            if progress.response.id in wanted:
                run.stop("cancelled")
        return True
