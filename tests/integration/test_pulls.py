"""Models that come while a real server runs, from a server that behaves like the hub."""

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.make_gguf import write_tiny_llama
from tests.conftest import Start
from tests.support.hub import REPOSITORY, Hub, Stored, run_hub
from tests.support.server import Server, wait_until

SOURCE = f"hf://{REPOSITORY}/m.gguf"
MANIFEST = f"models:\n  - {{id: named, source: '{SOURCE}'}}\n"
HELLO = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    data = write_tiny_llama(tmp_path / "origin.bin").read_bytes()
    folder = tmp_path / "server-0"
    folder.mkdir()
    (folder / "models.yaml").write_text(MANIFEST)
    with run_hub() as running:
        running.files["m.gguf"] = Stored(data)
        yield running


def ask(server: Server, method: str, path: str, **body: Any) -> httpx.Response:
    return server.client.request(method, server.url + path, json=body or None)


def state(server: Server, model: str = "named") -> str:
    return server.get(f"/v1/models/{model}").json()["state"]


def chat(server: Server, **more: Any) -> httpx.Response:
    return ask(
        server,
        "POST",
        "/v1/chat/completions",
        model="named",
        messages=HELLO,
        max_tokens=2,
        **more,
    )


def test_a_model_comes_is_used_and_goes(hub: Hub, start: Start) -> None:
    server = start(HF_ENDPOINT=hub.endpoint)
    assert state(server) == "absent"
    refused = chat(server)
    assert refused.status_code == 404
    assert refused.json()["error"]["code"] == "model_not_downloaded"
    assert "corral pull named" in refused.json()["error"]["message"]
    # curl, as a person would type it
    told = subprocess.run(
        ["curl", "-sN", f"{server.url}/api/pull", "-d", '{"model": "named"}'],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.splitlines()
    assert json.loads(told[0]) == {"status": "pulling manifest"}
    assert json.loads(told[-1]) == {"status": "success"}
    assert state(server) == "cold"
    assert chat(server).status_code == 200
    assert state(server) == "hot"
    # forced, it is fetched anew and loaded anew, and the admin's list tells
    job = ask(server, "POST", "/admin/pulls", model="named", force=True).json()
    events = server.get(f"/admin/pulls/{job['id']}/events").text.strip().split("\n\n")
    last = json.loads(events[-1].removeprefix("data: "))
    assert (last["stage"], last["name"]) == ("done", "named")
    assert chat(server).status_code == 200
    row = next(row for row in server.get("/admin/models").json()["models"] if row["id"] == "named")
    assert (row["state"], row["leases"]) == ("hot", 0)
    assert row["memory"] > 0
    assert ask(server, "POST", "/admin/models/named/unload").json()["state"] == "cold"
    assert ask(server, "POST", "/admin/models/named/load").json()["state"] == "hot"
    # deleted, it is absent again
    assert ask(server, "DELETE", "/admin/models/named").json() == {"id": "named", "deleted": True}
    assert state(server) == "absent"
    # by its source it is there too, under what models.yaml calls it
    whole = ask(server, "POST", "/api/pull", model=SOURCE, stream=False)
    assert whole.json() == {"status": "success"}
    assert server.get("/admin/pulls").json()["pulls"][-1]["name"] == "named"
    assert state(server) == "cold"


def test_who_leaves_ends_it_and_the_next_goes_on(hub: Hub, start: Start) -> None:
    hub.files["m.gguf"].pace = 0.3
    server = start(HF_ENDPOINT=hub.endpoint)
    with server.client.stream("POST", f"{server.url}/api/pull", json={"model": "named"}) as told:
        for line in told.iter_lines():
            if json.loads(line).get("completed"):
                break

    def last() -> dict[str, Any]:
        return server.get("/admin/pulls").json()["pulls"][-1]

    wait_until(lambda: last()["stage"] == "cancelled", "the download to end")
    assert state(server) == "absent"
    hub.files["m.gguf"].pace = 0
    assert ask(server, "POST", "/api/models/named").json() == {
        "success": True,
        "data": "Model named downloaded successfully",
    }
    assert hub.starts()[-1] > 0
    assert chat(server).status_code == 200


def test_sigterm_ends_a_download_at_once_and_nothing_is_lost(
    hub: Hub, start: Start, tmp_path: Path
) -> None:
    hub.files["m.gguf"].pace = 0.5
    server = start(HF_ENDPOINT=hub.endpoint, LLM_DRAIN_TIMEOUT="60")
    lines: list[str] = []

    def follow() -> None:
        with server.client.stream(
            "POST", f"{server.url}/api/pull", json={"model": "named"}
        ) as told:
            lines.extend(told.iter_lines())

    client = threading.Thread(target=follow)
    client.start()
    wait_until(lambda: hub.sent > 100_000, "some bytes")
    server.terminate()
    assert server.wait_exit(20) == 0
    client.join(20)
    assert "shutting down" in json.loads(lines[-1])["error"]
    (books,) = (tmp_path / "server-0/models/.corral/partial").glob("*.json")
    assert json.loads(books.read_text())["done"][0][1] > 0
    server.assert_no_alarm()


@pytest.mark.parametrize("stream", [False, True])
def test_on_demand(hub: Hub, start: Start, *, stream: bool) -> None:
    hub.files["m.gguf"].pace = 0.6
    server = start(HF_ENDPOINT=hub.endpoint, LLM_PULL_ON_DEMAND="true", LLM_SSE_PING_INTERVAL="0.3")
    answer = chat(server, stream=stream)
    assert answer.status_code == 200
    if stream:
        comments = [line for line in answer.text.splitlines() if line.startswith(":")]
        assert any(re.fullmatch(r": pulling \d+%", line) for line in comments), comments
        assert answer.text.endswith("data: [DONE]\n\n")
    assert state(server) == "hot"
    gone = ask(server, "POST", "/v1/completions", model="other", prompt="x")
    assert gone.status_code == 404


def test_on_demand_has_a_limit_of_patience(hub: Hub, start: Start) -> None:
    hub.files["m.gguf"].pace = 1
    server = start(HF_ENDPOINT=hub.endpoint, LLM_PULL_ON_DEMAND="true", LLM_LOAD_TIMEOUT="1")
    answer = chat(server)
    assert answer.status_code == 503
    assert "is being downloaded" in answer.json()["error"]["message"]
    hub.files["m.gguf"].pace = 0
    wait_until(lambda: state(server) == "cold", "the download, which goes on")


def test_offline(hub: Hub, start: Start) -> None:
    server = start(HF_ENDPOINT=hub.endpoint, LLM_OFFLINE="true", LLM_PULL_ON_DEMAND="true")
    for path, model in (("/api/pull", "named"), ("/admin/pulls", "qwen3-4b")):
        refused = ask(server, "POST", path, model=model)
        assert refused.status_code == 403
        assert "LLM_OFFLINE" in refused.text
    assert chat(server).status_code == 403
    assert not hub.asked


def test_wrong_bytes_never_become_a_model(hub: Hub, start: Start) -> None:
    hub.files["m.gguf"].faults = ["twist"]
    server = start(HF_ENDPOINT=hub.endpoint)
    told = ask(server, "POST", "/api/pull", model="named")
    assert "its SHA-256 is" in json.loads(told.text.splitlines()[-1])["error"]
    assert state(server) == "absent"
    assert ask(server, "POST", "/api/pull", model="named", stream=False).status_code == 200
    assert state(server) == "cold"
