"""The prefix cache through the API: over restarts, from disk, and over unloading a model."""

import signal
from pathlib import Path
from typing import Any

import pytest

from scripts.make_gguf import write_tiny_llama
from tests.support.server import MODEL, Server, serve, wait_until

SYSTEM = "You are the clerk of a small library. " + " ".join(
    f"Shelf {number} holds the books of room {number * 7}." for number in range(30)
)
MESSAGES = [
    {"role": "system", "content": SYSTEM},
    {"role": "user", "content": "What is the capital of France?"},
]


def chat(server: Server, model: str = MODEL) -> tuple[str, int, int]:
    """The answer, the prompt's tokens, and how many of them were cached."""
    asked = {"model": model, "messages": MESSAGES, "temperature": 0, "max_tokens": 24}
    reply = server.client.post(f"{server.base_url}/chat/completions", json=asked)
    assert reply.status_code == 200, reply.text
    body: dict[str, Any] = reply.json()
    usage = body["usage"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    return body["choices"][0]["message"]["content"], usage["prompt_tokens"], cached


def files_written(server: Server) -> float:
    return server.metrics().value("corral_prefix_cache_entries", tier="disk")


def from_disk(server: Server) -> float:
    return server.metrics().value("corral_prefix_cache_tokens_total", tier="disk")


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_keeps_what_was_read(tmp_path: Path, ending: signal.Signals) -> None:
    folder = str(tmp_path / "cache")
    with serve(tmp_path, LLM_PREFIX_CACHE_DIR=folder) as server:
        text, n_prompt, cached = chat(server)
        assert cached == 0
        if ending == signal.SIGKILL:
            wait_until(lambda: files_written(server) > 0, "the state to be written")
        server.process.send_signal(ending)
        server.wait_exit()
    with serve(tmp_path, LLM_PREFIX_CACHE_DIR=folder) as server:
        assert chat(server) == (text, n_prompt, n_prompt - 1)
        assert from_disk(server) == n_prompt - 1
        assert chat(server) == (text, n_prompt, n_prompt - 1)
        assert from_disk(server) == n_prompt - 1, "the second time it is in memory"
    server.assert_no_alarm()


def test_the_disk_alone(tmp_path: Path) -> None:
    settings = {"LLM_PREFIX_CACHE_DIR": str(tmp_path / "cache"), "LLM_PREFIX_CACHE_BYTES": "1k"}
    with serve(tmp_path, **settings) as server:
        text, n_prompt, _ = chat(server)
        for times in range(1, 4):
            wait_until(lambda: files_written(server) > 0, "the state to be written")
            assert chat(server) == (text, n_prompt, n_prompt - 1)
            assert from_disk(server) == times * (n_prompt - 1)
        assert server.metrics().value("corral_prefix_cache_bytes", tier="host") <= 1000
    server.assert_no_alarm()


def test_a_damaged_file_is_computed_again(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    with serve(tmp_path, LLM_PREFIX_CACHE_DIR=str(folder)) as server:
        text, n_prompt, _ = chat(server)
    for path in folder.rglob("*.state"):
        content = bytearray(path.read_bytes())
        content[-100] ^= 1
        path.write_bytes(content)
    with serve(tmp_path, LLM_PREFIX_CACHE_DIR=str(folder)) as server:
        assert chat(server) == (text, n_prompt, 0)
    server.assert_no_alarm()


def test_a_model_that_comes_back_finds_what_it_knew(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    write_tiny_llama(tmp_path / "models" / "other.gguf", seed=1)
    with serve(tmp_path, LLM_MAX_LOADED_MODELS="1") as server:
        text, n_prompt, cached = chat(server)
        assert cached == 0
        before = server.metrics().value("corral_evictions_total")
        chat(server, "other")
        assert server.metrics().value("corral_evictions_total") == before + 1
        assert chat(server) == (text, n_prompt, n_prompt - 1)
    server.assert_no_alarm()
