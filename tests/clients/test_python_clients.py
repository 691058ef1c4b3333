"""Clients for Python that bring much with them, in an environment of their own: see `python/`."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.catalog.entries import BUILTIN_PATH
from tests.support.server import Server

FOLDER = Path(__file__).parent / "python"
PYTHON = Path(sys.prefix) / "clients" / "bin" / "python"
FILES = sorted(path.name for path in FOLDER.glob("test_*.py"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("file", FILES)
def test_python_client(file: str, server: Server, scripted: Server, tmp_path: Path) -> None:
    assert PYTHON.exists(), "`make test` installs the clients"
    done = subprocess.run(
        [PYTHON, "-m", "pytest", file],
        cwd=FOLDER,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "CORRAL_URL": server.base_url,
            "SCRIPTED_URL": scripted.base_url,
            "CORRAL_BUILTIN": str(BUILTIN_PATH),
            # else it asks the network for a list of prices
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        },
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for running in (server, scripted):
        running.wait_metric("corral_requests_running", 0)
