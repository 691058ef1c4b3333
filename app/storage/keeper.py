"""Looks after a database while the server runs: opens it, and again after a failure; marks what
dead processes left unfinished; deletes what is too old."""

import asyncio
import contextlib
import time

import structlog
from sqlalchemy import delete, insert, or_

from app.core.errors import StoreUnavailable
from app.storage.database import Database
from app.storage.failures import describe, is_outage
from app.storage.responses import ResponseStore
from app.storage.retention import Retention
from app.storage.tables import WorkerRow
from app.storage.workers import Workers

_RETRY = 2.0
"""Seconds between two tries to reach a database that is gone."""
_ROUND = 10.0
"""Seconds between two looks at one that is there."""
_RETENTION = 3600.0
_DAY = 86_400.0

_log = structlog.stdlib.get_logger("corral.storage")


class Keeper:
    """`start()` and `close()` it; `opened` is set once the first try is over, well or badly."""

    def __init__(
        self,
        database: Database,
        workers: Workers,
        responses: ResponseStore,
        retention: Retention,
    ) -> None:
        self.opened = asyncio.Event()
        self._database = database
        self._workers = workers
        self._responses = responses
        self._retention = retention
        self._deletes = 0
        self._scrubbed = 0
        self._next_retention = 0.0
        self._told: str | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    def note_delete(self) -> None:
        """Something was deleted: its traces are removed with the next round."""
        self._deletes += 1

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(Exception):
            async with self._database.writing() as connection:
                await connection.execute(delete(WorkerRow).where(WorkerRow.id == self._workers.own))
        with contextlib.suppress(Exception):
            await self._workers.leave()
        await self._database.close()

    async def _run(self) -> None:
        while True:
            try:
                await self._go_round()
                self._tell(None)
            except StoreUnavailable:
                self._database.reason = self._database.reason or self._database.last_failure
                self._tell(self._database.reason)
            except Exception as error:
                if not is_outage(error):
                    _log.exception("the database's keeper failed")
                self._database.reason = self._database.reason or describe(error)
                self._tell(self._database.reason)
            self.opened.set()
            pause = _ROUND if self._database.reason is None else _RETRY
            self._database.suspected.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._database.suspected.wait()
                    await asyncio.sleep(_RETRY / 10)  # what failed at once is one failure

    async def _go_round(self) -> None:
        if self._database.reason is not None:
            await self._database.open()
        await self._workers.join()
        await self._beat()
        await self._interrupt_dead()
        try:
            await self._tidy()
        except StoreUnavailable as error:  # too slow at it: that keeps nobody from using it
            _log.warning("the database could not be tidied up", reason=error.message)

    async def _tidy(self) -> None:
        if time.monotonic() >= self._next_retention:
            self._next_retention = time.monotonic() + _RETENTION
            if deleted := await self._retention.apply():
                _log.info("stored things left by age or size", count=deleted)
                self._deletes += 1
        if self._deletes != self._scrubbed:
            seen = self._deletes
            await self._retention.scrub()
            self._scrubbed = seen

    async def _beat(self) -> None:
        """Shows whether the database can be written to, and who uses it."""
        async with self._database.writing() as connection:
            now = time.time()
            old = or_(WorkerRow.id == self._workers.own, WorkerRow.seen_at < now - _DAY)
            await connection.execute(delete(WorkerRow).where(old))
            await connection.execute(insert(WorkerRow).values(id=self._workers.own, seen_at=now))

    async def _interrupt_dead(self) -> None:
        for worker in await self._responses.find_workers() - {self._workers.own}:
            if await self._workers.is_dead(worker):
                count = await self._responses.interrupt(worker)
                _log.warning("responses of a process that died are incomplete", count=count)

    def _tell(self, reason: str | None) -> None:
        """Once for each change."""
        if reason == self._told:
            return
        self._told = reason
        if reason is None:
            _log.info("the database can be used again")
        else:
            _log.error("the database cannot be used; chat goes on without it", reason=reason)
