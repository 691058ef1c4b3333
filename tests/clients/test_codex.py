"""OpenAI's Codex does a task on the Responses wire: it has commands run, without a network."""

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

# What `@openai/codex` installs on Linux with x86-64: see test_opencode.py.
PACKAGE = Path(__file__).parent / "node" / "node_modules" / "codex-linux-x64"
CODEX = PACKAGE / "vendor" / "x86_64-unknown-linux-musl" / "bin" / "codex"
IS_MADE_FOR_HERE = (platform.system(), platform.machine()) == ("Linux", "x86_64")
ADDRESS = "127.0.0.1:11434"


def documented_config() -> str:
    """The configuration that docs/clients.md tells to write."""
    blocks = read_blocks((ROOT / "docs" / "clients.md").read_text())
    return next(block.code for block in blocks if block.language == "toml")


def items(output: str, kind: str) -> Iterator[dict[str, Any]]:
    for line in output.splitlines():
        event = json.loads(line)
        if event["type"] == "item.completed" and event["item"]["type"] == kind:
            yield event["item"]


@pytest.mark.timeout(300)
@pytest.mark.skipif(
    not IS_MADE_FOR_HERE or shutil.which("npm") is None,
    reason="no npm, or not Linux with x86-64: Codex is not tried",
)
def test_a_task_with_two_commands(scripted: Server, tmp_path: Path) -> None:
    assert CODEX.exists(), "run `npm ci` in tests/clients/node"
    home, work = tmp_path / "home", tmp_path / "work"
    for folder in (home / ".codex", work):
        folder.mkdir(parents=True)
    config = documented_config().replace(ADDRESS, f"127.0.0.1:{scripted.port}")
    (home / ".codex" / "config.toml").write_text(config)
    (work / "notes.txt").write_text("The llama is called Rosa.\n")
    script = (
        "Read the notes, then count.\nthink I read first\n"
        'call exec_command {"cmd": "cat notes.txt"}\n'
        'then\ncall exec_command {"cmd": "echo $((6 * 7))"}'
    )
    command = [CODEX, "exec", "--skip-git-repo-check", "--json", "-s", "danger-full-access", "-"]
    done = subprocess.run(
        command,
        input=script,
        cwd=work,
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    used = list(items(done.stdout, "command_execution"))
    assert [(item["exit_code"], item["status"]) for item in used] == [(0, "completed")] * 2
    said = [item["text"] for item in items(done.stdout, "agent_message")]
    assert "called Rosa" in said[-1]
    assert "42" in said[-1]
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["type"] == "turn.completed"
    usage = last["usage"]
    assert usage["input_tokens"] > 8000
    # of three requests, the second and third go on where the one before ended
    assert usage["cached_input_tokens"] > 0.6 * usage["input_tokens"]
    scripted.wait_metric("corral_requests_running", 0)
