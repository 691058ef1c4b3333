"""`models.yaml` changes while the server runs."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.make_gguf import write_tiny_llama
from tests.integration.load import COMPLETIONS, ENDLESS, open_running, wait_idle
from tests.support.server import MODEL, Server, serve, wait_until
from tests.support.wire import ask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    write_tiny_llama(tmp_path / "one.gguf", seed=1)
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    (folder / "models.yaml").write_text("models: []\n")
    with serve(folder, LLM_MAX_LOADED_MODELS="2") as running:
        yield running
    running.assert_no_alarm()


def listed(server: Server) -> set[str]:
    return {model["id"] for model in server.get("/v1/models").json()["data"]}


async def until(check: Callable[[], bool]) -> None:
    """Beside the streams of the test."""
    await asyncio.to_thread(wait_until, check, "the models to be read again")


async def until_listed(server: Server, *names: str) -> None:
    await until(lambda: set(names) == listed(server))


async def test_models_come_change_and_go_beside_a_stream(server: Server, folder: Path) -> None:
    manifest = folder / "models.yaml"
    events = await open_running(server, ENDLESS)
    before = await ask(server.port, "POST", COMPLETIONS, {"model": "x", "prompt": "the"})
    assert before.status == 404
    manifest.write_text(
        f"models:\n  - id: {MODEL}\n    source: builtin://{MODEL}\n    context_window: 512\n"
        "  - id: one\n    source: one.gguf\n    aliases: [x]\n"
    )
    await until_listed(server, MODEL, "one")
    asked = {"prompt": "the llama", "max_tokens": 4}
    for name in ("x", MODEL):
        answer = await ask(server.port, "POST", COMPLETIONS, {"model": name, **asked})
        assert answer.status == 200, answer.body
    await events.first()  # on the weights it began with
    manifest.write_text("modles: []\n")
    await until(lambda: "models.yaml:1: modles" in server.log)
    assert listed(server) == {MODEL, "one"}
    await events.first()
    await events.close()
    await wait_idle(server)


async def test_sighup_finds_new_files(server: Server, folder: Path) -> None:
    write_tiny_llama(folder / "models" / "two.gguf", seed=2)
    assert listed(server) == {MODEL}
    server.process.send_signal(signal.SIGHUP)
    await until_listed(server, MODEL, "two")
    (folder / "models" / "two.gguf").unlink()
    server.process.send_signal(signal.SIGHUP)
    await until_listed(server, MODEL)
