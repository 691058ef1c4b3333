"""Every test of the storage runs with SQLite and, where it is installed, with PostgreSQL."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from app.storage.address import read_address
from app.storage.database import Database
from tests.support.postgres import Postgres, find_programs, run_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    if find_programs() is None:
        pytest.skip("PostgreSQL is not installed")
    with run_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.url


@pytest.fixture
async def database(url: str, tmp_path: Path) -> AsyncIterator[Database]:
    made = await open_database(url, tmp_path, is_empty=True)
    yield made
    await made.close()


async def open_database(url: str, folder: Path, *, is_empty: bool = False) -> Database:
    address = read_address(url, folder)
    assert address is not None
    if is_empty and address.file is None:
        await empty(url)
    made = Database(address)
    try:
        await made.open()
    except BaseException:
        await made.close()
        raise
    return made


async def empty(url: str) -> None:
    """What other tests left in the one database of PostgreSQL."""
    address = read_address(url, Path())
    assert address is not None
    engine = create_async_engine(address.url)
    async with engine.begin() as connection:
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))
    await engine.dispose()
