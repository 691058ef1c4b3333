"""Small commands start at once: they import nothing that they do not need."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli import environment
from tests.support.server import ROOT

CODE = """
import sys
from app.cli import main
try:
    main(sys.argv[1:], standalone_mode=False)
except SystemExit:
    pass
print("IMPORTED", *sorted(name.partition(".")[0] for name in sys.modules))
"""


def imported(folder: Path, *arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments],
        cwd=folder,
        env={**environment(folder), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize(
    ("arguments", "never"),
    [
        (["--help"], {"pydantic", "httpx2"}),
        (["run", "--help"], {"pydantic", "httpx2"}),
        (["doctor", "--help"], {"pydantic", "httpx2"}),
        (["completion", "bash"], {"pydantic", "httpx2"}),
        (["list"], {"httpx2"}),
        (["pull", "--names"], set[str]()),
    ],
)
def test_what_is_not_imported(tmp_path: Path, arguments: list[str], never: set[str]) -> None:
    heavy = {"llama_cpp", "numpy", "rich", "prompt_toolkit", "starlette", "uvicorn"}
    assert not imported(tmp_path, *arguments) & (heavy | never)


def test_this_would_see_it(tmp_path: Path) -> None:
    assert "pydantic" in imported(tmp_path, "list")
