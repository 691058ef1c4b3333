"""The operators' routes: models in memory, downloads that go on by themselves."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.hub import Hub
from tests.support.tiny_hub import run_tiny_hub
from tests.unit.api.served import MODEL, Served, serve
from tests.unit.services.scripted import INFO, ScriptedEngine, ScriptedPool


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with run_tiny_hub(tmp_path, monkeypatch) as running:
        yield running


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(ScriptedPool(ScriptedEngine()), models_dir=tmp_path / "models")


def events(text: str) -> list[dict[str, Any]]:
    frames = text.removesuffix("\n\n").split("\n\n")
    return [json.loads(frame.removeprefix("data: ")) for frame in frames]


async def test_models() -> None:
    served = serve(info=replace(INFO, memory=99, expires=5.0, pinned=True, leases=2))
    told = (await served.get("/admin/models")).json()
    assert told["memory"] == {"used": 99, "budget": 1000}
    assert told["max_loaded_models"] == 2
    row = told["models"][0]
    assert row["id"] == MODEL
    assert {"state", "size", "context_window", "capabilities", "error"} <= set(row)
    assert (row["memory"], row["expires_at"], row["pinned"], row["leases"]) == (99, 5.0, True, 2)
    assert (await served.get(f"/admin/models/{MODEL}")).json() == row


async def test_load_and_unload() -> None:
    served = serve()
    async with served.client() as client:
        assert (await client.post(f"/admin/models/{MODEL}/load")).json()["id"] == MODEL
    assert served.pool.keep_alive is None
    assert (
        await served.post(f"/admin/models/{MODEL}/load", {"keep_alive": "5m"})
    ).status_code == 200
    assert served.pool.keep_alive == 300
    assert (await served.post(f"/admin/models/{MODEL}/unload", {})).json()["id"] == MODEL
    assert [name for name, _ in served.pool.unloads] == [MODEL]
    wrong = await served.post(f"/admin/models/{MODEL}/load", {"keep_alive": "soon"})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "keep_alive")
    for path in ("/admin/models/gone/load", "/admin/models/gone/unload"):
        gone = await served.post(path, {})
        assert (gone.status_code, gone.json()["error"]["code"]) == (404, "model_not_found")


async def test_reload() -> None:
    answer = await serve().post("/admin/reload", {})
    assert answer.json() == {"added": [], "removed": [], "changed": []}


async def test_a_download_goes_on_by_itself(hub: Hub, served: Served) -> None:
    hub.files["m.gguf"].pace = 0.02
    begun = await served.post("/admin/pulls", {"model": "tiny-1b"})
    assert begun.status_code == 202
    job = begun.json()
    assert job["stage"] in {"queued", "resolving", "downloading"}
    followed = await served.get(f"/admin/pulls/{job['id']}/events")
    assert followed.headers["content-type"].startswith("text/event-stream")
    told = events(followed.text)
    assert {row["id"] for row in told} == {job["id"]}
    size = len(hub.files["m.gguf"].data)
    assert (told[-1]["stage"], told[-1]["done"], told[-1]["size"]) == ("done", size, size)
    assert told[-1]["error"] is None
    assert told[-1]["ended_at"] >= told[-1]["created_at"]
    assert (await served.get(f"/admin/pulls/{job['id']}")).json() == told[-1]
    assert (await served.get("/admin/pulls")).json() == {"pulls": [told[-1]]}
    # whoever comes late is told how it ended
    assert events((await served.get(f"/admin/pulls/{job['id']}/events")).text) == [told[-1]]


async def test_cancelled(hub: Hub, served: Served) -> None:
    hub.files["m.gguf"].pace = 0.5
    job = (await served.post("/admin/pulls", {"model": "tiny-1b"})).json()
    async with served.client() as client:
        told = (await client.delete(f"/admin/pulls/{job['id']}")).json()
    assert told["stage"] == "cancelled"
    assert told["error"]["code"] == "pull_failed"
    assert "kept" in told["error"]["message"]


async def test_what_is_refused(hub: Hub, served: Served) -> None:
    for body, status, code in (
        ({"model": "gone"}, 404, "source_not_found"),
        ({"model": "https://h.example/m.gguf"}, 403, "pull_refused"),
        ({"model": "hf://a/m.gguf"}, 400, "invalid_value"),
        ({}, 400, "invalid_value"),
    ):
        refused = await served.post("/admin/pulls", body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
        assert refused.json()["error"]["param"] == "model"
    for path in ("/admin/pulls/pull_x", "/admin/pulls/pull_x/events"):
        gone = await served.get(path)
        assert (gone.status_code, gone.json()["error"]["code"]) == (404, "pull_not_found")


async def test_short_names(hub: Hub, served: Served) -> None:
    names = (await served.get("/admin/registry")).json()["models"]
    assert {"name", "source"} == set(names[0])
    assert "llama2-7b" in {row["name"] for row in names}
