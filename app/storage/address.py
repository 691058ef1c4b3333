"""`LLM_DATABASE_URL` as a database to connect to."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.core.errors import ConfigurationError

OFF = "none"
FILE = Path(".corral") / "conversations.db"
"""Where SQLite's file is, in the directory of the models."""

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
}


@dataclass(frozen=True, slots=True)
class Address:
    """`file`: SQLite's, else None."""

    url: URL
    file: Path | None


def read_address(given: str | None, models_dir: Path) -> Address | None:
    """None where nothing is to be stored. Raises ConfigurationError, which shows no password."""
    if given is None:
        return _of_file(models_dir / FILE)
    if given.strip().lower() == OFF:
        return None
    try:
        url = make_url(given.strip())
    except ArgumentError:
        raise _refuse("it is not an address") from None
    driver = _DRIVERS.get(url.drivername, url.drivername)
    if driver not in _DRIVERS.values():
        raise _refuse(f"there is no '{url.drivername}' here")
    if driver == _DRIVERS["sqlite"]:
        if not url.database or url.database == ":memory:":
            raise _refuse("SQLite needs the path of a file")
        return _of_file(Path(url.database).expanduser())
    return Address(url.set(drivername=driver), None)


def _of_file(path: Path) -> Address:
    return Address(URL.create(_DRIVERS["sqlite"], database=str(path)), path)


def _refuse(problem: str) -> ConfigurationError:
    return ConfigurationError(
        f"LLM_DATABASE_URL: {problem}; write sqlite:////path/of/file.db, "
        "postgresql://user:password@host/database, or none"
    )
