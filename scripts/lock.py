"""Write the hash-pinned lock files under requirements/ (`make lock`), or check them (`--check`).

Each lock starts with a digest of what it was resolved from, so that the check needs no network.
"""

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DIRECTORY = ROOT / "requirements"
# A lock must install anywhere, so it names no download address and no path of one machine.
FOREIGN = re.compile(
    r"^[^#]*(://|--index-url|--extra-index-url|--find-links|(^|\s)/\w)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Lock:
    name: str
    source: str
    options: tuple[str, ...]
    inputs: object

    @property
    def path(self) -> Path:
        return DIRECTORY / f"{self.name}.txt"

    @property
    def header(self) -> str:
        text = json.dumps([self.source, self.options, self.inputs], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return f"# Locked from {self.source} by `make lock`; inputs sha256:{digest}\n"


def locks() -> list[Lock]:
    pyproject: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = pyproject["project"]
    runtime = [project["requires-python"], project["dependencies"]]
    extras = [project["optional-dependencies"]["bench"], pyproject["dependency-groups"]["dev"]]
    backend = pyproject["build-system"]["requires"]
    return [
        Lock("build", "requirements/build.in", (), [_wanted("build.in"), backend]),
        Lock("runtime", "pyproject.toml", ("-c", "requirements/build.txt"), runtime),
        Lock(
            "dev",
            "pyproject.toml",
            ("--extra", "bench", "--group", "dev", "-c", "requirements/runtime.txt"),
            [runtime, extras],
        ),
        Lock("clients", "requirements/clients.in", (), _wanted("clients.in")),
    ]


def _wanted(name: str) -> list[str]:
    lines = (DIRECTORY / name).read_text().splitlines()
    return [line for line in lines if line[:1] != "#"]


def write(lock: Lock, upgrade: bool) -> None:
    path = str(lock.path.relative_to(ROOT))
    command = ["uv", "pip", "compile", "--quiet", "--no-config", "--no-header"]
    command += ["--universal", "--python-version", "3.11", "--generate-hashes"]
    command += ["--no-emit-index-url", "--no-emit-find-links", *lock.options]
    command += ["--upgrade"] if upgrade else []
    subprocess.run([*command, lock.source, "-o", path], cwd=ROOT, check=True)
    lock.path.write_text(lock.header + lock.path.read_text())


def faults(lock: Lock) -> list[str]:
    text = lock.path.read_text() if lock.path.exists() else ""
    found: list[str] = []
    if not text.startswith(lock.header):
        found.append(f"{lock.path.name} is not current with {lock.source}: run `make lock`")
    found += [f"{lock.path.name} names a place: {m[0]}" for m in FOREIGN.finditer(text)]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="only say whether the locks are current"
    )
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions allowed")
    arguments = parser.parse_args()
    if not arguments.check:
        for lock in locks():
            write(lock, arguments.upgrade)
    found = [fault for lock in locks() for fault in faults(lock)]
    print("\n".join(found) or "The locks are current.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
