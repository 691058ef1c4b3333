"""OpenCode's command line does a task: it has files read and commands run, without a network."""

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fences import read_blocks
from tests.support.server import ROOT, Server

# What `opencode-ai` installs on Linux with x86-64, and all that can be locked for any machine: the
# package itself insists on having the builds for all systems in the lock.
PACKAGES = Path(__file__).parent / "node" / "node_modules"
OPENCODE = PACKAGES / "opencode-linux-x64-baseline" / "bin" / "opencode"
IS_MADE_FOR_HERE = (platform.system(), platform.machine()) == ("Linux", "x86_64")
ADDRESS = "127.0.0.1:11434"

Json = dict[str, Any]


def documented_config() -> str:
    """The configuration that docs/clients.md tells to write."""
    blocks = read_blocks((ROOT / "docs" / "clients.md").read_text())
    return next(block.code for block in blocks if block.language == "json")


def events(output: str, kind: str) -> Iterator[Json]:
    for line in output.splitlines():
        event = json.loads(line)
        if event["type"] == kind:
            yield event["part"]


@pytest.mark.timeout(300)
@pytest.mark.skipif(
    not IS_MADE_FOR_HERE or shutil.which("npm") is None,
    reason="no npm, or not Linux with x86-64: OpenCode is not tried",
)
def test_a_task_with_two_tools(scripted: Server, tmp_path: Path) -> None:
    assert OPENCODE.exists(), "run `npm ci` in tests/clients/node"
    config = documented_config().replace(ADDRESS, f"127.0.0.1:{scripted.port}")
    (tmp_path / "opencode.json").write_text(config)
    (tmp_path / "notes.txt").write_text("The llama is called Rosa.\n")
    script = (
        f'Read the notes, then count.\ncall read {{"filePath": "{tmp_path}/notes.txt"}}\n'
        'then\ncall bash {"command": "echo $((6 * 7))", "description": "Multiply"}'
    )
    done = subprocess.run(
        [OPENCODE, "run", "--format", "json"],
        input=script,
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
        },
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    used = list(events(done.stdout, "tool_use"))
    assert [(part["tool"], part["state"]["status"]) for part in used] == [
        ("read", "completed"),
        ("bash", "completed"),
    ]
    (said,) = events(done.stdout, "text")
    assert "called Rosa" in said["text"]
    assert "42" in said["text"]
    *_, last = events(done.stdout, "step_finish")
    tokens = last["tokens"]
    assert tokens["total"] > 8000
    # each round goes on where the last one ended
    assert tokens["cache"]["read"] > 0.95 * tokens["total"]
    assert not list(events(done.stdout, "error"))
