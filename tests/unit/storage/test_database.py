"""Opening databases: migrations, several processes at once, failures."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from app.core.errors import ConfigurationError, StoreUnavailable
from app.storage import migrations
from app.storage.address import read_address
from app.storage.conversations import ConversationStore
from app.storage.database import Database
from app.storage.migrate import newest_version
from app.storage.tables import Base
from tests.support.postgres import Postgres
from tests.unit.storage.conftest import empty, open_database
from tests.unit.storage.samples import ME

_OPEN = """
import asyncio, sys
from pathlib import Path
from app.storage.address import read_address
from app.storage.database import Database

async def main():
    database = Database(read_address(sys.argv[1], Path()))
    await database.open()
    await database.close()

asyncio.run(main())
"""


async def test_the_migrations_make_what_the_tables_say(database: Database) -> None:
    def compare(connection: Connection) -> list[object]:
        made = MigrationContext.configure(connection)
        scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
        assert made.get_current_revision() == newest_version() == scripts.get_current_head()
        return list(compare_metadata(made, Base.metadata))

    async with database.reading() as connection:
        differences = await connection.run_sync(compare)
    # what a search needs is no table of ours: the two databases differ in it
    search = ("items_search", "items_by_words", "'search'")
    assert [d for d in differences if not any(name in str(d) for name in search)] == []


async def test_many_processes_may_start_at_once(url: str, tmp_path: Path) -> None:
    if url.startswith("postgresql"):
        await empty(url)
    starting = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-c", _OPEN, url, stderr=subprocess.PIPE
        )
        for _ in range(4)
    ]
    ended = [await process.communicate() for process in starting]
    assert [process.returncode for process in starting] == [0] * 4, ended
    again = await open_database(url, tmp_path)
    async with again.reading() as connection:
        versions = (await connection.scalars(text("SELECT version_num FROM alembic_version"))).all()
    assert versions == [newest_version()]
    await again.close()


async def test_a_database_of_a_newer_version_is_left_alone(database: Database) -> None:
    async with database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreUnavailable, match="another version"):
        await database.open()
    with pytest.raises(StoreUnavailable, match="another version"):
        database.check()


async def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    async def fail() -> None:
        async with database.writing() as connection:
            await connection.execute(text("INSERT INTO workers VALUES ('w', 1)"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.reading() as connection:
        assert (await connection.scalars(text("SELECT id FROM workers"))).all() == []


async def test_readers_go_on_beside_a_writer(database: Database) -> None:
    async with database.writing() as writer:
        await writer.execute(text("INSERT INTO workers VALUES ('w', 1)"))
        async with asyncio.timeout(3), database.reading() as reader:
            assert (await reader.scalars(text("SELECT id FROM workers"))).all() == []


async def test_writers_wait_for_each_other(database: Database) -> None:
    async def write(number: int) -> None:
        async with database.writing() as connection:
            await connection.execute(text(f"INSERT INTO workers VALUES ('w{number}', 1)"))
            await asyncio.sleep(0.02)

    await asyncio.gather(*(write(number) for number in range(12)))
    async with database.reading() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM workers")) == 12


async def test_a_full_disk_is_told_and_reading_goes_on(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/store.db", tmp_path)
    async with database.writing() as connection:
        pages = await connection.scalar(text("PRAGMA page_count"))
        await connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 1}")
        await connection.execute(text("INSERT INTO workers VALUES ('w', 1)"))
    with pytest.raises(StoreUnavailable, match="database or disk is full") as caught:
        async with database.writing() as connection:
            await connection.execute(
                text("INSERT INTO workers VALUES (:id, 2)"), {"id": "x" * 100_000}
            )
    assert caught.value.retry_after
    assert "xxx" not in caught.value.message
    assert database.suspected.is_set()
    async with database.reading() as connection:
        assert (await connection.scalars(text("SELECT id FROM workers"))).all() == ["w"]
    await database.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_that_is_not_ours_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)  # noqa: ASYNC240 - nobody waits here
    with pytest.raises(StoreUnavailable, match="Permission denied"):
        await open_database(f"sqlite:///{tmp_path}/deeper/store.db", tmp_path)


async def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_text(
        "not a database at all, but long enough to look like one" * 9
    )
    with pytest.raises(StoreUnavailable, match="not a database"):
        await open_database(f"sqlite:///{tmp_path}/store.db", tmp_path)


async def test_nobody_else_may_read_the_file(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/deep/store.db", tmp_path)
    assert (tmp_path / "deep" / "store.db").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "deep").stat().st_mode & 0o777 == 0o700
    await database.close()


async def test_postgresql_may_go_and_come_back(postgres: Postgres, tmp_path: Path) -> None:
    database = await open_database(postgres.url, tmp_path)
    await asyncio.to_thread(postgres.stop)
    try:
        with pytest.raises(StoreUnavailable):
            async with database.reading() as connection:
                await connection.execute(text("SELECT 1"))
        assert database.suspected.is_set()
        with pytest.raises(StoreUnavailable, match=r"refused|Connect"):
            await database.open()
    finally:
        await asyncio.to_thread(postgres.start)
    await database.open()
    async with database.reading() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1
    await database.close()


async def test_a_wrong_password_is_told_and_not_shown(postgres: Postgres, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="password authentication failed") as caught:
        await open_database(postgres.url.replace("secret", "swordfish"), tmp_path)
    assert "swordfish" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, "sqlite+aiosqlite:///models/.corral/conversations.db"),
        ("sqlite:////var/lib/x.db", "sqlite+aiosqlite:////var/lib/x.db"),
        ("postgres://u@h/d", "postgresql+asyncpg://u@h/d"),
        ("postgresql://u@h:5/d", "postgresql+asyncpg://u@h:5/d"),
        ("postgresql+asyncpg://u@h/d", "postgresql+asyncpg://u@h/d"),
    ],
)
def test_addresses(given: str | None, expected: str) -> None:
    address = read_address(given, Path("models"))
    assert address is not None
    assert str(address.url) == expected


def test_no_address() -> None:
    assert read_address("None", Path("models")) is None


@pytest.mark.parametrize(
    "given", ["x", "mysql://u:swordfish@h/d", "sqlite://", "sqlite:///:memory:"]
)
def test_bad_addresses(given: str) -> None:
    with pytest.raises(ConfigurationError, match="LLM_DATABASE_URL") as caught:
        read_address(SecretStr(given).get_secret_value(), Path("models"))
    assert "swordfish" not in str(caught.value)


async def test_values_that_postgresql_cannot_take_are_no_outage(
    postgres: Postgres, tmp_path: Path
) -> None:
    database = await open_database(postgres.url, tmp_path, is_empty=True)
    with pytest.raises(DBAPIError):
        await ConversationStore(database).read(ME, "a\0b")
    assert not database.suspected.is_set()
    await database.close()
