"""A model of the hub under Ollama's name for it, with Ollama's own client, from pull to delete."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.catalog.entries import BUILTIN_PATH
from tests.support.hub import REPOSITORY, Stored, run_hub
from tests.support.server import ROOT, Server, serve

CLIENT = ROOT / "tests/clients/python/ollama_hub_name.py"
PYTHON = Path(sys.prefix) / "clients/bin/python"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One whose hub has the built-in model in two files, among others that are none."""
    model = Stored(BUILTIN_PATH.read_bytes())
    with run_hub() as hub:
        hub.files = {
            "README.md": Stored(b"# Tiny"),
            "tiny-Q2_K.gguf": Stored(b"not asked for"),
            "tiny-Q4_K_M.gguf": model,
            "tiny-Q8_0.gguf": model,
        }
        with serve(tmp_path_factory.mktemp("server"), HF_ENDPOINT=hub.endpoint) as running:
            yield running
        running.assert_no_alarm()


def use(server: Server, name: str) -> dict[str, Any]:
    """What Ollama's client saw."""
    assert PYTHON.exists(), "`make test` installs the clients"
    done = subprocess.run(
        [PYTHON, CLIENT, name],
        env={"CORRAL_URL": server.base_url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("quant", "file"), [(":Q8_0", "tiny-Q8_0"), ("", "tiny-Q4_K_M")])
def test_from_pull_to_delete(server: Server, quant: str, file: str) -> None:
    name = f"hf.co/{REPOSITORY}{quant}"
    saw = use(server, name)
    assert saw["pulled"][0] == "pulling manifest"
    assert saw["pulled"][-1] == "success"
    assert saw["completed"] == saw["total"] == BUILTIN_PATH.stat().st_size
    assert saw["model"] == name
    assert "Paris" in saw["answer"]
    assert saw["generated"]
    assert (saw["family"], saw["quantization"]) == ("llama", "Q8_0")
    assert f"{REPOSITORY}/{file}:latest" in saw["listed"]
    assert f"{REPOSITORY}/{file}:latest" in saw["running"]
    assert saw["deleted"] == "success"
    assert saw["left"] == ["corral-tiny:latest"]
    assert saw["gone"] == 404


def test_what_stands_in_for_the_usual_file_is_not_deleted(server: Server) -> None:
    """Who repeats a deletion would lose one file of the repository after the other."""
    name = f"hf.co/{REPOSITORY}"
    pulled = server.client.post(f"{server.url}/api/pull", json={"model": f"{name}:Q8_0"})
    assert pulled.status_code == 200, pulled.text
    assert server.client.post(f"{server.url}/api/show", json={"model": name}).status_code == 200
    for wanted, status in ((name, 400), (f"{name}:Q4_K_M", 404), (f"{name}:q8_0", 200)):
        url = f"{server.url}/api/delete"
        answer = server.client.request("DELETE", url, json={"model": wanted})
        assert answer.status_code == status, wanted
