"""Models that are copied, created and deleted while the server runs; files elsewhere stay."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.make_gguf import write_tiny_llama
from tests.conftest import Start
from tests.support.server import Server

KEPT = """
models:
  - {id: kept, source: models/kept.gguf}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the first server of a test runs."""
    made = tmp_path / "server-0"
    (made / "models" / "lab").mkdir(parents=True)
    for name in ("kept", "lab/one"):
        write_tiny_llama(made / "models" / f"{name}.gguf")
    write_tiny_llama(tmp_path / "outside.gguf")
    (made / "models.yaml").write_text(KEPT)
    return made


@pytest.fixture
def server(folder: Path, start: Start) -> Server:
    return start(LLM_PRELOAD="none")


def ask(server: Server, method: str, path: str, **body: Any) -> httpx.Response:
    return server.client.request(method, server.url + path, json=body or None)


def names(server: Server) -> set[str]:
    return {row["name"] for row in server.get("/api/list").json()["models"]}


def answer(server: Server, model: str) -> httpx.Response:
    options = {"num_predict": 2}
    return ask(
        server, "POST", "/api/generate", model=model, prompt="Hi", options=options, stream=False
    )


def test_a_model_comes_and_goes(server: Server, folder: Path) -> None:
    assert names(server) == {"kept", "lab/one", "corral-tiny"}
    copied = ask(server, "POST", "/api/copy", source="lab/one", destination="lab/two:q8")
    assert (copied.status_code, copied.content) == (200, b"")
    assert answer(server, "lab/two:q8").status_code == 200
    created = ask(server, "POST", "/api/create", name="three", modelpath="lab/one.gguf")
    assert created.json() == {"status": "success"}
    built_in = ask(server, "POST", "/api/create", model="four", **{"from": "corral-tiny"})
    assert built_in.json() == {"status": "success"}
    assert names(server) == {"kept", "lab/one", "lab/two:q8", "three", "four", "corral-tiny"}

    gone = ask(server, "DELETE", "/api/delete", name="lab/two:q8")
    assert (gone.status_code, gone.content) == (200, b"")
    assert answer(server, "lab/two:q8").status_code == 404
    told = ask(server, "DELETE", "/api/models/three.gguf").json()
    assert told == {"success": True, "data": "Model three deleted successfully"}
    assert ask(server, "DELETE", "/api/delete", model="four:latest").status_code == 200
    assert ask(server, "DELETE", "/api/delete", model="four").status_code == 404
    assert names(server) == {"kept", "lab/one", "corral-tiny"}
    assert answer(server, "lab/one").status_code == 200
    assert not [path for path in folder.rglob("*") if path.suffix in {".deleted", ".new"}]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("kept", "is not deleted"),
        ("corral-tiny", "not in the models directory"),
        ("default", "another name"),
    ],
)
def test_what_is_not_deleted(server: Server, folder: Path, name: str, words: str) -> None:
    refused = ask(server, "DELETE", "/api/delete", model=name)
    assert refused.status_code == 400
    assert words in refused.json()["error"]
    assert (folder / "models" / "kept.gguf").is_file()
    assert names(server) == {"kept", "lab/one", "corral-tiny"}


def test_nothing_outside_is_read_or_written(server: Server, folder: Path, tmp_path: Path) -> None:
    (folder / "models" / "way-out").symlink_to(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    for place in ("../../outside.gguf", str(tmp_path / "outside.gguf"), "way-out/outside.gguf"):
        refused = ask(server, "POST", "/api/create", name="stolen", modelpath=place)
        assert refused.status_code == 400
        assert refused.json()["status"] == "failed to create model"
    for name in (
        "../up",
        "/abs",
        "a/../../b",
        "way-out/x",
        ".hidden",
        "a//b",
        "mmproj-x",
        "x.gguf",
    ):
        refused = ask(server, "POST", "/api/copy", source="lab/one", destination=name)
        assert refused.status_code == 400, name
    taken = ask(server, "POST", "/api/copy", source="lab/one", destination="kept")
    assert "already" in taken.json()["error"]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    assert names(server) == {"kept", "lab/one", "corral-tiny"}


def test_settings_of_a_model_are_the_manifests(server: Server) -> None:
    refused = ask(server, "POST", "/api/create", model="x", system="Be brief.", **{"from": "kept"})
    assert refused.status_code == 400
    assert "models.yaml" in refused.json()["error"]


def test_a_key_is_needed_where_there_is_one(folder: Path, start: Start) -> None:
    locked = start(LLM_PRELOAD="none", LLM_API_KEY="secret")
    for method, path in (("DELETE", "/api/delete"), ("POST", "/api/copy"), ("POST", "/api/create")):
        assert ask(locked, method, path, model="lab/one").status_code == 401
    assert ask(locked, "DELETE", "/api/models/lab/one").status_code == 401
    assert (folder / "models" / "lab" / "one.gguf").is_file()
