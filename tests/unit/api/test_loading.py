"""Streams for a model that must be loaded first: the client hears of it at once."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from app.api import generating
from app.core.errors import ModelLoadFailed
from tests.unit.api.served import CHAT, MODEL, Served, chat, listen, serve
from tests.unit.services.scripted import INFO

COLD = replace(INFO, state="loading", load_progress=0.42)


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody here waits for whole seconds."""
    monkeypatch.setattr(generating, "LOAD_GRACE", 0.3)
    monkeypatch.setattr(generating, "TELL_SECONDS", 0.3)


def serve_cold(seconds: float) -> Served:
    served = serve(info=COLD)
    served.pool.lease_delay = seconds
    return served


def test_the_head_and_the_progress_come_before_the_model() -> None:
    with (
        listen(serve_cold(1.2).app) as url,
        httpx.stream("POST", url + CHAT, json=chat(stream=True)) as response,
    ):
        assert response.status_code == 200
        lines = [line for line in response.iter_lines() if line]
    comments = [line for line in lines if line.startswith(":")]
    assert comments[0] == ": loading 42%"
    assert len(comments) >= 2
    assert lines[len(comments)].startswith("data: ")
    assert lines[-1] == "data: [DONE]"


RESPONSES = "/v1/responses"
ASKED = {"model": MODEL, "input": "Hi", "stream": True}


@pytest.mark.parametrize("background", [False, True])
async def test_a_response_begins_before_its_model(background: bool, tmp_path: Path) -> None:
    served = serve_cold(3.5)
    served.database = tmp_path / "store.db"
    served.__post_init__()
    response = await served.post(RESPONSES, {**ASKED, "background": background})
    assert response.status_code == 200
    lines = [line for line in response.text.splitlines() if line]
    assert lines[0] == "event: response.created"
    comments = [line for line in lines if line.startswith(":")]
    assert comments[0] == ": loading 42%"
    assert len(comments) >= 2
    kinds = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    first = ["response.created", *(["response.queued"] if background else [])]
    assert kinds[: len(first) + 1] == [*first, "response.in_progress"]
    assert lines.index(comments[-1]) < lines.index("event: response.in_progress")
    assert kinds[-1] == "response.completed"


@pytest.mark.parametrize(("seconds", "status"), [(0.01, 500), (1.3, 200)])
async def test_a_response_whose_model_cannot_be_loaded(seconds: float, status: int) -> None:
    served = serve_cold(seconds)
    served.pool.refusal = ModelLoadFailed("It is damaged.")
    response = await served.post(RESPONSES, {**ASKED, "store": False})
    assert response.status_code == status
    if status == 200:
        assert "event: response.failed" in response.text
    assert "It is damaged." in response.text
    assert served.pool.leases == 0
    # who waits for a whole answer always gets the status
    response = await served.post(RESPONSES, {**ASKED, "store": False, "stream": False})
    assert response.status_code == 500


async def test_whoever_leaves_a_response_while_its_model_loads_starts_nothing() -> None:
    served = serve_cold(1.5)
    with listen(served.app) as url:
        async with (
            httpx.AsyncClient(base_url=url) as client,
            client.stream("POST", RESPONSES, json={**ASKED, "store": False}) as response,
        ):
            assert response.status_code == 200
        await asyncio.sleep(2.0)
    assert served.engine.specs == []
    assert served.pool.leases == 0


def test_lines_of_json_have_no_comments() -> None:
    with listen(serve_cold(0.7).app) as url, httpx.Client(base_url=url) as client:
        answer = client.post("/api/chat", json=chat(stream=True))
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines[-1]["done"] is True


async def test_a_quick_load_leaves_the_status_to_its_refusal() -> None:
    served = serve_cold(0.01)
    served.pool.refusal = ModelLoadFailed("It is damaged.")
    response = await served.post(CHAT, chat(stream=True))
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "model_load_failed"


@pytest.mark.parametrize(("path", "prefix"), [(CHAT, "data: "), ("/api/chat", "")])
async def test_a_refusal_after_a_long_load_is_the_last_frame(path: str, prefix: str) -> None:
    served = serve_cold(0.6)
    served.pool.refusal = ModelLoadFailed("It is damaged.")
    response = await served.post(path, chat(stream=True))
    assert response.status_code == 200
    last = response.text.split("\n\n" if prefix else "\n")[-2]
    assert "It is damaged." in json.dumps(json.loads(last.removeprefix(prefix))["error"])
    assert served.pool.leases == 0


async def test_whoever_leaves_while_the_model_loads_starts_nothing() -> None:
    served = serve_cold(1.0)
    with listen(served.app) as url:
        async with (
            httpx.AsyncClient(base_url=url) as client,
            client.stream("POST", CHAT, json=chat(stream=True)) as response,
        ):
            assert response.status_code == 200
        await asyncio.sleep(1.2)
    assert served.engine.specs == []
    assert served.pool.leases == 0


def test_a_download_is_told_likewise() -> None:
    served = serve(info=replace(INFO, state="absent", pull_progress=0.42))
    served.pool.lease_delay = 2.5
    with (
        listen(served.app) as url,
        httpx.stream("POST", url + CHAT, json=chat(stream=True)) as response,
    ):
        lines = [line for line in response.iter_lines() if line]
    assert lines[0] == ": pulling 42%"
    assert lines[-1] == "data: [DONE]"
