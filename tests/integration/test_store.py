"""Models that are copied, created and deleted while the server runs; files elsewhere stay."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.make_gguf import write_tiny_llama
from tests.conftest import Start
from tests.support.server import Server, serve, wait_until

KEPT = """
models:
  - {id: kept, source: models/kept.gguf}
"""


GIVEN = {"kept", "lab/one", "corral-tiny"}


def make_folder(place: Path) -> Path:
    """Where a server runs: with two models, and a file beside it that is none of its business."""
    made = place / "server-0"
    (made / "models" / "lab").mkdir(parents=True)
    for name in ("kept", "lab/one"):
        write_tiny_llama(made / "models" / f"{name}.gguf")
    write_tiny_llama(place / "outside.gguf")
    (made / "models.yaml").write_text(KEPT)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the shared server runs."""
    return make_folder(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def shared(folder: Path) -> Iterator[Server]:
    with serve(folder, LLM_PRELOAD="none") as running:
        yield running
    running.assert_no_alarm()


@pytest.fixture
def server(shared: Server, folder: Path) -> Iterator[Server]:
    """With the models that are given; what a test makes is deleted after it."""
    assert names(shared) == GIVEN
    yield shared
    for name in names(shared) - GIVEN:
        assert ask(shared, "DELETE", "/api/delete", model=name).status_code == 200
    for blob in (folder / "models" / ".corral" / "blobs").glob("*"):
        blob.unlink()


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
    assert names(server) == GIVEN
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
    assert names(server) == GIVEN
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
    assert names(server) == GIVEN


def test_nothing_outside_is_read_or_written(server: Server, folder: Path) -> None:
    outside = folder.parent
    (folder / "models" / "way-out").symlink_to(outside)
    before = {path: path.stat().st_mtime_ns for path in outside.iterdir()}
    for place in ("../../outside.gguf", str(outside / "outside.gguf"), "way-out/outside.gguf"):
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
    assert {path: path.stat().st_mtime_ns for path in outside.iterdir()} == before
    (folder / "models" / "way-out").unlink()
    assert names(server) == GIVEN


def send(server: Server, data: bytes, digest: str | None = None) -> httpx.Response:
    name = digest or "sha256:" + hashlib.sha256(data).hexdigest()
    return server.client.post(f"{server.url}/api/blobs/{name}", content=data)


def show(server: Server, model: str) -> dict[str, Any]:
    answer = ask(server, "POST", "/api/show", model=model)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_model_with_settings_of_its_own(server: Server, folder: Path) -> None:
    said = {
        "system": "You are Mario.",
        "parameters": {
            "temperature": 0.25,
            "top_k": 3.0,
            "num_ctx": 512,
            "num_predict": 7,
            "stop": "Luigi",
            "seed": 4,
            "num_gpu": 9,
        },
        "license": "MIT",
    }
    made = ask(server, "POST", "/api/create", model="mario", **{"from": "lab/one"}, **said)
    assert made.json() == {"status": "success"}
    assert made.headers["x-corral-ignored"] == ("parameters.num_gpu, license, parameters.seed")
    card = show(server, "mario")
    assert card["system"] == "You are Mario."
    parameters = dict(line.split() for line in card["parameters"].splitlines())
    assert parameters == {
        "num_ctx": "512",
        "num_predict": "7",
        "stop": "Luigi",
        "temperature": "0.25",
        "top_k": "3",
    }
    long = ask(
        server,
        "POST",
        "/api/generate",
        model="mario",
        prompt="Hi",
        stream=False,
    ).json()
    assert (long["eval_count"], long["done_reason"]) == (7, "length")
    # what is made of it, or copied, is like it but for what is said anew
    made = ask(server, "POST", "/api/create", model="wario", system="Be rude.", **{"from": "mario"})
    assert made.status_code == 200
    assert ask(server, "POST", "/api/copy", source="mario", destination="twin").status_code == 200
    assert show(server, "wario")["system"] == "Be rude."
    assert show(server, "wario")["parameters"] == card["parameters"]
    assert show(server, "twin")["system"] == card["system"]
    # it can be made anew, and of itself; what was not made here stays
    again = ask(server, "POST", "/api/create", model="mario", system="Ciao.", **{"from": "mario"})
    assert again.status_code == 200
    assert show(server, "mario")["system"] == "Ciao."
    assert show(server, "mario")["parameters"] == card["parameters"]
    for name in ("lab/one", "kept", "corral-tiny"):
        taken = ask(server, "POST", "/api/create", model=name, **{"from": "mario"})
        assert taken.status_code == 400, name
        assert "already" in taken.json()["error"]
    assert ask(server, "DELETE", "/api/delete", model="mario").status_code == 200
    assert not list((folder / "models").glob("mario*"))
    assert answer(server, "wario").status_code == 200


def test_a_template_and_what_is_refused(server: Server) -> None:
    def create(**said: Any) -> httpx.Response:
        return ask(server, "POST", "/api/create", model="x", **{"from": "lab/one", **said})

    jinja = "{% for message in messages %}{{ message.content }}{% endfor %}"
    assert create(template=jinja).status_code == 200
    assert show(server, "x")["template"] == jinja
    for said, words in (
        ({"template": "{{ if .System }}{{ .System }}{{ end }}"}, "Jinja"),
        ({"template": "/etc/passwd"}, "Jinja"),
        ({"parameters": {"temperature": "hot"}}, "parameters.temperature"),
        ({"parameters": {"temperature": -1}}, "parameters.temperature"),
        ({"parameters": {"num_ctx": 0}}, "parameters.num_ctx"),
        ({"adapters": {"a": "sha256:" + "0" * 64}}, "models.yaml"),
        ({"quantize": "q4_0"}, "as they are"),
        ({"messages": [{"role": "user", "content": "Hi"}]}, "messages"),
        ({"template": "chatml"}, "Jinja"),
        ({"from": "gone"}, "model 'gone' not found"),
        ({"from": None}, "is required"),
    ):
        refused = create(**said)
        assert refused.status_code in {400, 404}, said
        assert words in refused.json()["error"], refused.text
    assert show(server, "x")["template"] == jinja


def test_a_file_that_was_sent(server: Server, folder: Path) -> None:
    data = write_tiny_llama(folder / "sent.bin", seed=5).read_bytes()
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    assert server.client.head(f"{server.url}/api/blobs/{digest}").status_code == 404
    early = ask(server, "POST", "/api/create", model="sent", files={"m.gguf": digest})
    assert "send it to /api/blobs/" in early.json()["error"]
    assert send(server, data).status_code == 201
    assert send(server, data).status_code == 200
    assert server.client.head(f"{server.url}/api/blobs/{digest}").status_code == 200
    made = ask(server, "POST", "/api/create", model="sent", files={"../m.gguf": digest}, system="S")
    assert made.json() == {"status": "success"}
    assert (folder / "models" / "sent.gguf").read_bytes() == data
    assert answer(server, "sent").status_code == 200
    assert show(server, "sent")["system"] == "S"
    assert not list((folder / "models" / ".corral" / "blobs").iterdir())
    # the model's file is known by its digest, so it need not be sent again
    assert server.client.head(f"{server.url}/api/blobs/{digest}").status_code == 200
    again = ask(server, "POST", "/api/create", model="again", files={"m.gguf": digest})
    assert again.status_code == 200
    assert (folder / "models" / "again.gguf").samefile(folder / "models" / "sent.gguf")


def test_what_is_sent_is_checked(server: Server, folder: Path) -> None:
    data = write_tiny_llama(folder / "sent.bin").read_bytes()
    wrong = send(server, data, "sha256:" + "0" * 64)
    assert wrong.status_code == 400
    assert "have the digest sha256:" in wrong.json()["error"]
    for name in ("sha256:abc", "md5:" + "0" * 64, "sha256:" + "0" * 63 + "%2f", "..%2f..%2fx"):
        assert send(server, data, name).status_code in {400, 404}, name
    assert send(server, b"not a model").status_code == 201
    digest = "sha256:" + hashlib.sha256(b"not a model").hexdigest()
    broken = ask(server, "POST", "/api/create", model="b", files={"m.gguf": digest})
    assert broken.status_code == 400
    assert "not a GGUF file" in broken.json()["error"]
    assert send(server, data).status_code == 201
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    parts = {"a.gguf": digest, "b.gguf": digest}
    assert ask(server, "POST", "/api/create", model="b", files=parts).status_code == 400
    assert names(server) == GIVEN


def test_an_upload_that_breaks_off_leaves_nothing(server: Server, folder: Path) -> None:
    def half() -> Iterator[bytes]:
        yield b"GGUF" * 1000
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        server.client.post(f"{server.url}/api/blobs/sha256:{'0' * 64}", content=half())
    blobs = folder / "models" / ".corral" / "blobs"
    wait_until(lambda: blobs.is_dir() and not list(blobs.iterdir()), "the upload to be dropped")


def test_a_large_upload_is_no_large_body(start: Start, tmp_path: Path) -> None:
    small = start(LLM_PRELOAD="none", LLM_MAX_BODY_BYTES="1KiB")
    data = write_tiny_llama(tmp_path / "sent.bin").read_bytes()
    assert send(small, data).status_code == 201
    assert ask(small, "POST", "/api/show", model="x" * 2000).status_code == 413


def test_a_key_is_needed_where_there_is_one(start: Start, tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    locked = start(LLM_PRELOAD="none", LLM_API_KEY="secret")
    for method, path in (
        ("DELETE", "/api/delete"),
        ("POST", "/api/copy"),
        ("POST", "/api/create"),
        ("POST", f"/api/blobs/sha256:{'0' * 64}"),
    ):
        assert ask(locked, method, path, model="lab/one").status_code == 401
    assert ask(locked, "DELETE", "/api/models/lab/one").status_code == 401
    assert (folder / "models" / "lab" / "one.gguf").is_file()
