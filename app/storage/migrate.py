"""Bringing a database to the schema of this version, however many processes start at once."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

_FOLDER = Path(__file__).parent / "migrations"
_LOCK = 0x436F7272616C  # any number that nobody else locks


def migrate(connection: Connection) -> None:
    """Run what is missing, in the transaction that `connection` is in.

    Others wait meanwhile: in SQLite for the transaction, which holds the whole file; in PostgreSQL
    for a lock that ends with it.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    config = _make_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def newest_version() -> str | None:
    return ScriptDirectory.from_config(_make_config()).get_current_head()


def _make_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    return config
