"""Bringing a database to the schema of this version, however many processes start at once."""

from pathlib import Path

from sqlalchemy import Connection, text

_FOLDER = Path(__file__).parent / "migrations"
_LOCK = 0x436F7272616C  # any number that nobody else locks


class UnknownVersion(Exception):
    """The schema is of a version that this one does not know; the text says which."""


def migrate(connection: Connection) -> None:
    """Run what is missing, in the transaction that `connection` is in. Raises UnknownVersion.

    Others wait meanwhile: in SQLite for the transaction, which holds the whole file; in PostgreSQL
    for a lock that ends with it.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    if _find_version(connection) != newest_version():
        _upgrade(connection)


def newest_version() -> str:
    """By the names of the migrations, which begin with `v` and their number."""
    return max(path.stem[1:].partition("_")[0] for path in _FOLDER.glob("versions/v*.py"))


def _find_version(connection: Connection) -> str | None:
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    return connection.scalar(text("SELECT version_num FROM alembic_version"))


def _upgrade(connection: Connection) -> None:
    # Only now: Alembic would be a tenth of every start, and hardly one has something to migrate.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise UnknownVersion(str(error)) from error
