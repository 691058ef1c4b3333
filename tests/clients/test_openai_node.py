"""OpenAI's client for Node against a live server; the tests themselves are in `node/`."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.server import Server

FOLDER = Path(__file__).parent / "node"
NODE = shutil.which("node")
HAS_NODE = NODE is not None and shutil.which("npm") is not None


def count(word: str, report: str) -> int:
    found = re.search(rf"^# {word} (\d+)$", report, re.MULTILINE)
    assert found, report
    return int(found[1])


@pytest.mark.skipif(not HAS_NODE, reason="node or npm is missing: the Node client is not tried")
def test_node_client(server: Server) -> None:
    assert NODE is not None
    assert (FOLDER / "node_modules" / "openai").is_dir(), "run `npm ci` in tests/clients/node"
    done = subprocess.run(
        [NODE, "--test", "--test-reporter=tap", "openai.test.mjs"],
        cwd=FOLDER,
        env={"PATH": str(Path(NODE).parent), "CORRAL_URL": server.base_url},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert count("pass", done.stdout) >= 13
    assert count("fail", done.stdout) == count("skipped", done.stdout) == 0
    server.wait_metric("corral_requests_running", 0)
