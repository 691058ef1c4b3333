"""A real start: what is said first, and that a signal ends it with exit code 0."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.make_gguf import write_tiny_llama


@pytest.fixture
def process(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    (tmp_path / "models").mkdir()
    write_tiny_llama(tmp_path / "models" / "small.gguf")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LLM_")}
    own = {
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "LLM_HOST": "0.0.0.0",
        "LLM_THREADS": "1",
        "LLM_CONTEXT_SIZE": "512",
        "LLM_QUEUE_SIZE": "1",
    }
    started = subprocess.Popen(
        [sys.executable, "-c", "from app.cli import main; main()", "serve", "--port", "0"],
        cwd=tmp_path,
        env={**environment, **own},
        stderr=subprocess.PIPE,
        text=True,
    )
    yield started
    started.kill()
    started.wait()
    assert started.stderr is not None
    started.stderr.close()


def read_until(process: "subprocess.Popen[str]", message: str) -> list[dict[str, Any]]:
    """The log's lines up to the one with `message`."""
    assert process.stderr is not None
    lines: list[dict[str, Any]] = []
    for text in process.stderr:
        lines.append(json.loads(text))
        if lines[-1]["message"].startswith(message):
            return lines
    raise AssertionError(f"the log ended without {message!r}: {lines}")


def test_a_start_and_its_end(process: "subprocess.Popen[str]") -> None:
    lines = read_until(process, "model ready")
    said = [line["message"] for line in lines]
    assert "LLM_QUEUE_SIZE is not a setting of Corral" in said[0]
    assert said[1].startswith("Corral ")
    url = said[1].split()[-1]
    assert url.startswith("http://127.0.0.1:")
    assert lines[2]["serving"].startswith("small (")
    assert "CPU" in lines[3]["using"]
    assert said[4].startswith(f"try: curl {url}/v1/chat/completions ")
    assert said[5].startswith("ANYONE WHO REACHES 0.0.0.0:")
    assert lines[5]["level"] == "warning"

    body = json.dumps({"model": "default", "prompt": "Hello", "max_tokens": 2}).encode()
    request = urllib.request.Request(
        f"{url}/v1/completions", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.load(answer)["usage"]["completion_tokens"] >= 1

    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
