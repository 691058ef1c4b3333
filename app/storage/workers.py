"""Which processes that use a database are alive: a lock that ends with its holder tells.

In SQLite it is the lock of a file beside the database, in PostgreSQL one of a session's.
"""

import secrets
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.database import Database


class Workers(Protocol):
    """`own` names this process to the others."""

    @property
    def own(self) -> str: ...

    async def join(self) -> None:
        """Be alive, also after the database was gone. Raises what its driver raises."""
        ...

    async def is_dead(self, worker: str) -> bool:
        """Whether a process of that name has ended."""
        ...

    async def leave(self) -> None: ...


def make_workers(database: Database) -> Workers:
    return FileWorkers(database) if database.is_sqlite else SessionWorkers(database)


class FileWorkers:
    def __init__(self, database: Database) -> None:
        self.own = secrets.token_hex(8)
        self._database = database
        self._lock = self._lock_of(self.own)

    async def join(self) -> None:
        if not self._lock.is_locked:
            self._lock.acquire(timeout=0)

    async def is_dead(self, worker: str) -> bool:
        lock = self._lock_of(worker)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        lock.release()
        _remove(lock)
        return True

    async def leave(self) -> None:
        if self._lock.is_locked:
            self._lock.release()
            _remove(self._lock)

    def _lock_of(self, worker: str) -> FileLock:
        file = self._database.file
        if file is None:
            raise ValueError("only SQLite has a file")
        name = "".join(character for character in worker if character.isalnum())
        return FileLock(file.with_name(f"{file.name}-{name}.lock"), mode=0o600)


class SessionWorkers:
    """The name is the number of an advisory lock."""

    def __init__(self, database: Database) -> None:
        self.own = str(secrets.randbits(62))
        self._database = database
        self._session: AsyncConnection | None = None

    async def join(self) -> None:
        if self._session is not None:
            try:
                await self._session.execute(text("SELECT 1"))
            except BaseException:
                await self.leave()
                raise
            return
        self._session = await self._database.connect()
        await self._session.execute(_TAKE, {"key": int(self.own)})

    async def is_dead(self, worker: str) -> bool:
        async with self._database.reading() as connection:
            return bool(await connection.scalar(_TRY, {"key": int(worker)}))

    async def leave(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            await session.invalidate()
            await session.close()


_TAKE = text("SELECT pg_advisory_lock(:key)")
_TRY = text("SELECT pg_try_advisory_xact_lock(:key)")


def _remove(lock: FileLock) -> None:
    Path(lock.lock_file).unlink(missing_ok=True)
