"""What a database says when it cannot be used, as one error with the reason in plain words."""

from asyncpg import PostgresError
from asyncpg.exceptions import InterfaceError as AsyncpgInterfaceError
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    ProgrammingError,
    SQLAlchemyError,
)

from app.core.errors import StoreUnavailable

RETRY_AFTER = 5
_OURS = (DataError, IntegrityError, ProgrammingError)
_OUR_CLASSES = ("22", "54")
"""Of PostgreSQL's error codes: values that it cannot take, and ones beyond its limits."""
FAILURES = (SQLAlchemyError, OSError, TimeoutError, PostgresError, AsyncpgInterfaceError)
"""What a driver raises when a database is gone, full, locked, read-only or not let in to."""


def is_outage(error: BaseException) -> bool:
    """Whether the database is to blame, and not a statement of ours."""
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        code = getattr(error.orig, "sqlstate", None)
        if str(code or "").startswith(_OUR_CLASSES):
            return False
    return isinstance(error, FAILURES) and not isinstance(error, _OURS)


def describe(error: BaseException) -> str:
    """In one line, without the statement and its values, which are somebody's words."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if isinstance(cause, TimeoutError) and not str(cause):
        return "it does not answer"
    lines = str(cause).strip().splitlines()
    return lines[0].rpartition(">: ")[2][:200] if lines else type(cause).__name__


def unavailable(reason: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"What is stored cannot be reached: the database says: {reason}.", retry_after=RETRY_AFTER
    )
