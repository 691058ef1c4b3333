"""Clients for Node against live servers; the tests themselves are in `node/`."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.server import Server

FOLDER = Path(__file__).parent / "node"
NODE = shutil.which("node")
HAS_NODE = NODE is not None and shutil.which("npm") is not None
FILES = sorted(path.name for path in FOLDER.glob("*.test.mjs"))


def count(word: str, report: str) -> int:
    found = re.search(rf"^# {word} (\d+)$", report, re.MULTILINE)
    assert found, report
    return int(found[1])


@pytest.mark.skipif(not HAS_NODE, reason="node or npm is missing: the Node clients are not tried")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("file", FILES)
def test_node_client(file: str, server: Server, scripted: Server) -> None:
    assert NODE is not None
    assert (FOLDER / "node_modules" / "ai").is_dir(), "run `npm ci` in tests/clients/node"
    done = subprocess.run(
        [NODE, "--test", "--test-reporter=tap", file],
        cwd=FOLDER,
        env={
            "PATH": str(Path(NODE).parent),
            "CORRAL_URL": server.base_url,
            "SCRIPTED_URL": scripted.base_url,
        },
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert count("pass", done.stdout) >= 5
    assert count("fail", done.stdout) == count("skipped", done.stdout) == 0
    for running in (server, scripted):
        running.wait_metric("corral_requests_running", 0)
