"""Downloads through Ollama's route, line by line, and through RustLLM's."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from app.api.ollama.encode_pulls import PullLines
from app.core.pulls import PullJob, PullProgress
from tests.support.hub import Hub
from tests.support.tiny_hub import run_tiny_hub
from tests.unit.api.served import Served, serve
from tests.unit.services.scripted import ScriptedEngine, ScriptedPool

DIGEST = "ab" * 32


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with run_tiny_hub(tmp_path, monkeypatch) as running:
        yield running


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(ScriptedPool(ScriptedEngine()), models_dir=tmp_path / "models")


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("field", ["model", "name"])
async def test_point_46_a_stream(hub: Hub, served: Served, field: str) -> None:
    response = await served.post("/api/pull", {field: "tiny-1b"})
    assert response.headers["content-type"] == "application/x-ndjson"
    told = lines(response.text)
    assert told[0] == {"status": "pulling manifest"}
    assert [line["status"] for line in told[-3:]] == [
        "verifying sha256 digest",
        "writing manifest",
        "success",
    ]
    size = len(hub.files["m.gguf"].data)
    moving = told[1:-3]
    assert moving
    digests = {line["digest"] for line in moving}
    assert len(digests) == 1
    digest = digests.pop()
    assert digest.startswith("sha256:")
    assert {line["status"] for line in moving} == {f"pulling {digest[7:19]}"}
    assert {line["total"] for line in moving} == {size}
    done = [line["completed"] for line in moving]
    assert done == sorted(done)
    assert done[-1] == size
    again = lines((await served.post("/api/pull", {field: "tiny-1b:latest"})).text)
    assert [line["status"] for line in again] == [
        "pulling manifest",
        f"pulling {digest[7:19]}",
        "verifying sha256 digest",
        "writing manifest",
        "success",
    ]


async def test_one_object(hub: Hub, served: Served) -> None:
    response = await served.post("/api/pull", {"model": "tiny-1b", "stream": False})
    assert response.json() == {"status": "success"}


async def test_what_fails_on_the_way_is_the_last_line(hub: Hub, served: Served) -> None:
    hub.files["m.gguf"].faults = ["gone"]
    response = await served.post("/api/pull", {"model": "tiny-1b"})
    assert response.status_code == 200
    told = lines(response.text)
    assert told[0] == {"status": "pulling manifest"}
    assert "404" in told[-1]["error"]
    hub.files["m.gguf"].faults = ["gone"]
    whole = await served.post("/api/pull", {"model": "tiny-1b", "stream": False})
    assert whole.status_code == 500
    assert "404" in whole.json()["error"]


@pytest.mark.parametrize(
    ("model", "status", "words"),
    [
        ("nothing", 404, "no model 'nothing' to pull"),
        ("https://h.example/m.gguf", 403, "LLM_PULL_SOURCES"),
        ("hf://maker/model", 400, "hf://OWNER/REPO/FILE.gguf"),
        ("", 400, "'model' is required"),
    ],
)
async def test_what_is_refused_before(
    hub: Hub, served: Served, model: str, status: int, words: str
) -> None:
    response = await served.post("/api/pull", {"model": model})
    assert response.status_code == status
    assert words in response.json()["error"]
    assert not hub.asked


async def test_insecure_has_no_effect_and_says_so(hub: Hub, served: Served) -> None:
    response = await served.post("/api/pull", {"model": "tiny-1b", "insecure": True})
    assert response.headers["x-corral-ignored"] == "insecure"
    response = await served.post("/api/pull", {"model": "tiny-1b", "insecure": False})
    assert "x-corral-ignored" not in response.headers


async def test_a_key_is_needed(hub: Hub) -> None:
    locked = serve(api_key=SecretStr("secret"))
    for method, path in (
        ("POST", "/api/pull"),
        ("POST", "/api/models/tiny-1b"),
        ("GET", "/admin/models"),
        ("POST", "/admin/pulls"),
        ("POST", "/admin/reload"),
    ):
        async with locked.client() as client:
            response = await client.request(method, path, json={"model": "tiny-1b"})
        assert response.status_code == 401, path
    assert not hub.asked


async def test_rustllms_download(hub: Hub, served: Served) -> None:
    told = {"success": True, "data": "Model tiny-1b downloaded successfully"}
    async with served.client() as client:
        assert (await client.post("/api/models/tiny-1b")).json() == told
    sent = hub.sent
    assert (await served.post("/api/models/tiny-1b", {"force": False})).json() == told
    assert hub.sent == sent
    assert (await served.post("/api/models/tiny-1b.gguf", {"force": True})).json() == told
    assert hub.sent > sent
    gone = await served.post("/api/models/gone", {"force": False})
    assert (gone.status_code, gone.json()["success"]) == (404, False)
    wrong = await served.post("/api/models/tiny-1b", {"force": "yes"})
    assert (wrong.status_code, wrong.json()["success"]) == (400, False)


async def test_drain_is_the_last_line(hub: Hub, served: Served) -> None:
    hub.files["m.gguf"].pace = 0.1
    asked = asyncio.create_task(served.post("/api/pull", {"model": "tiny-1b"}))
    while not hub.sent:  # noqa: ASYNC110 - another thread sends
        await asyncio.sleep(0.01)
    served.pulls.drain()
    assert "shutting down" in lines((await asked).text)[-1]["error"]


async def test_absent_models_are_not_in_ollamas_lists(tmp_path: Path) -> None:
    served = serve()
    served.pool.absent = "plain"
    names = [row["name"] for row in (await served.get("/api/tags")).json()["models"]]
    assert "plain:latest" not in names
    for response in (
        await served.post("/api/show", {"model": "plain"}),
        await served.get("/api/models/plain"),
    ):
        assert response.status_code == 404
        assert "POST /api/pull" in response.json()["error"]
    states = {row["id"]: row["state"] for row in (await served.get("/v1/models")).json()["data"]}
    assert states["plain"] == "absent"


def job(stage: str, *files: PullProgress) -> PullJob:
    return PullJob("pull_1", "m", stage, files, 0.0)  # pyright: ignore[reportArgumentType]


def test_steps_that_were_missed_are_told_in_order() -> None:
    reader = PullLines()
    done = PullProgress("m.gguf", "done", 9, 9, DIGEST)
    told = [line["status"] for line in reader.read(job("done", done))]
    assert told == [
        "pulling manifest",
        f"pulling {DIGEST[:12]}",
        "verifying sha256 digest",
        "writing manifest",
        "success",
    ]
    assert reader.last == {"status": "success"}


def test_a_file_keeps_its_name_and_a_bar_of_its_own() -> None:
    reader = PullLines()
    first = [
        PullProgress("a.gguf", "downloading", 1, None),
        PullProgress("b.gguf", "downloading", 3, 4, DIGEST),
    ]
    told = reader.read(job("downloading", *first))[1:]
    assert "total" not in told[0]
    assert len({line["digest"] for line in told}) == 2
    later = reader.read(
        job("downloading", PullProgress("a.gguf", "done", 2, 2, "cd" * 32), first[1])
    )
    assert later[0] == {**told[0], "total": 2, "completed": 2}
    # clients cut these characters out
    assert all(len(line["digest"][7:19]) == 12 for line in told)
