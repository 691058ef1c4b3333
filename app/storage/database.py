"""One database: connections, transactions, and whether it can be used."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.core.errors import StoreUnavailable
from app.storage.address import Address
from app.storage.failures import describe, is_outage, unavailable
from app.storage.meter import Meter, NoMeter
from app.storage.migrate import UnknownVersion, migrate

_WRITES = "writes"
_BUSY_SECONDS = 5.0
_PATIENCE = 10.0
"""Seconds for one transaction, after which a database counts as gone."""


class Database:
    """Transactions for whoever asks; StoreUnavailable, with the reason, while there can be none.

    `reason` is None while it is open; somebody must `open()` it, and again after a failure, of
    which `suspected` tells and `last_failure` says what happened.
    """

    def __init__(self, address: Address | None, meter: Meter | None = None) -> None:
        """`address` None: there is none, by the operator's wish."""
        self.meter = meter or NoMeter()
        self.address = address
        self.reason: str | None = "it is not open yet"
        self.last_failure = self.reason
        self.suspected = asyncio.Event()
        self._engine: AsyncEngine | None = None
        self._turn = asyncio.Lock()

    @property
    def is_sqlite(self) -> bool:
        return self.file is not None

    @property
    def is_off(self) -> bool:
        return self.address is None

    @property
    def file(self) -> Path | None:
        """SQLite's."""
        return None if self.address is None else self.address.file

    async def open(self) -> None:
        """Connect and bring the schema up to date. Raises StoreUnavailable."""
        try:
            async with asyncio.timeout(_PATIENCE * 6):
                if self.file is not None:
                    await asyncio.to_thread(_make_file, self.file)
                if self._engine is None:
                    self._engine = _make_engine(self._find_address())
                async with self._writer(self._engine).begin() as connection:
                    await connection.run_sync(migrate)
        except Exception as error:
            if isinstance(error, UnknownVersion):
                self.reason = f"it was made by another version of Corral: {error}"
            elif is_outage(error):
                self.reason = describe(error)
            else:
                raise
            raise unavailable(self.reason) from error
        self.reason = None

    async def close(self) -> None:
        self.reason = "it is closed"
        if self._engine is not None:
            engine, self._engine = self._engine, None
            await engine.dispose()

    async def connect(self) -> AsyncConnection:
        """A connection for a purpose of its own, without transactions; whoever asks closes it."""
        if self._engine is None:
            raise unavailable("it is closed")
        connection = await self._engine.connect()
        return await connection.execution_options(isolation_level="AUTOCOMMIT")

    def check(self) -> None:
        """Raises StoreUnavailable while there can be no transaction."""
        self._find_address()
        if self.reason is not None:
            raise unavailable(self.reason)

    @asynccontextmanager
    async def reading(self, patience: float = _PATIENCE) -> AsyncGenerator[AsyncConnection]:
        """A transaction that changes nothing, of at most `patience` seconds. Raises
        StoreUnavailable."""
        async with self._transaction(patience, is_writing=False) as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction, kept unless something is raised. Raises StoreUnavailable.

        SQLite has one writer at a time, and whoever finds it busy sleeps and asks again, for
        seconds where many do: here they stand in line.
        """
        async with self._transaction(_PATIENCE, is_writing=True) as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(
        self, patience: float, *, is_writing: bool
    ) -> AsyncGenerator[AsyncConnection]:
        self._find_address()
        start, result = time.monotonic(), "abandoned"
        try:
            engine = self._find_engine()
            engine = self._writer(engine) if is_writing else engine
            turn = self._turn if is_writing and self.is_sqlite else nullcontext()
            async with asyncio.timeout(patience), turn, engine.begin() as connection:
                yield connection
            result = "ok"
        except StoreUnavailable:
            result = "unavailable"
            raise
        except Exception as error:
            result = "refused"
            if not is_outage(error):
                raise
            result = "unavailable"
            self.last_failure = describe(error)
            self.suspected.set()
            raise unavailable(self.last_failure) from error
        finally:
            kind = "write" if is_writing else "read"
            self.meter.observe_transaction(kind, result, time.monotonic() - start)

    def _find_engine(self) -> AsyncEngine:
        self.check()
        if self._engine is None:
            raise unavailable("it is closed")
        return self._engine

    def _find_address(self) -> Address:
        if self.address is None:
            raise StoreUnavailable("Nothing is stored here: LLM_DATABASE_URL is 'none'.")
        return self.address

    def _writer(self, engine: AsyncEngine) -> AsyncEngine:
        return engine.execution_options(**{_WRITES: True})


def _make_file(path: Path) -> None:
    """Nobody else on this machine may read what people said."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _make_engine(address: Address) -> AsyncEngine:
    arguments: dict[str, Any] = {
        "json_serializer": lambda value: orjson.dumps(value).decode(),  # pyright: ignore[reportUnknownLambdaType]
        "json_deserializer": orjson.loads,
    }
    if address.file is None:
        return create_async_engine(
            address.url,
            pool_pre_ping=True,
            pool_timeout=_PATIENCE,
            connect_args={"timeout": _BUSY_SECONDS},
            **arguments,
        )
    engine = create_async_engine(
        address.url, connect_args={"timeout": _BUSY_SECONDS}, pool_timeout=_PATIENCE, **arguments
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # the driver would begin transactions by itself, and not where they begin
    connection.isolation_level = None
    # its own one knows no letters but those of ASCII
    connection.create_function("lower", 1, _lower, deterministic=True)
    cursor = connection.cursor()
    cursor.execute("PRAGMA page_count")
    if cursor.fetchone()[0] == 0:  # later it can neither be changed nor asked for without a lock
        cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "secure_delete=ON",
        "journal_size_limit=16777216",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


def _begin_sqlite(connection: Any) -> None:
    """Who is going to write says so at once: a reader that becomes a writer may fail."""
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
