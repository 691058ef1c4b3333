"""A PostgreSQL server of one's own, from the programs that Debian installs."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.server import pick_port

_OWNERS = ("postgres", "nobody")
_OPTIONS = "-c fsync=off -c listen_addresses=127.0.0.1 -c max_connections=50"


def find_programs() -> Path | None:
    """The folder with `initdb` and `pg_ctl`; None where PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


@dataclass(slots=True)
class Postgres:
    programs: Path
    folder: Path
    port: int
    owner: str | None

    @property
    def url(self) -> str:
        return f"postgresql://corral:secret@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"{_OPTIONS} -p {self.port} -k {self.folder}"
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", self._data, "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop")

    def create(self) -> None:
        secret = self.folder / "secret"
        secret.write_text("secret\n")
        if self.owner:
            shutil.chown(self.folder, self.owner)
            shutil.chown(secret, self.owner)
        self._run(
            "initdb", "-D", self._data, "-U", "corral", "-A", "scram-sha-256", "--no-sync",
            "-E", "UTF8", "--locale=C", f"--pwfile={secret}",
        )  # fmt: skip

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _run(self, program: str, *arguments: str) -> None:
        command: Sequence[str] = [str(self.programs / program), *arguments]
        done = subprocess.run(
            command,
            cwd=self.folder,
            user=self.owner,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # a server that starts keeps it open
            stderr=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{program} failed, see {self.folder}"


@contextmanager
def run_postgres() -> Generator[Postgres]:
    """A server that runs. Root must not start one, so somebody else does where that is needed."""
    programs = find_programs()
    assert programs is not None
    folder = Path(tempfile.mkdtemp(prefix="corral-postgres-", dir=Path(tempfile.gettempdir())))
    server = Postgres(programs, folder, pick_port(), _choose_owner())
    try:
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _choose_owner() -> str | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in _OWNERS if name in known)
