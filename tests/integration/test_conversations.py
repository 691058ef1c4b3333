"""Conversations over restarts, with other keys, from other origins, and with a database that is
gone or shared."""

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.postgres import find_programs, run_postgres
from tests.support.server import MODEL, SCRIPTED, Server, pick_port, serve, wait_until

QUESTION = "What is the capital of France?"
PAGE = "https://page.example"


def post(server: Server, path: str, key: str | None = None, **body: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return server.client.post(server.url + path, json=body, headers=headers)


def respond(server: Server, **fields: Any) -> dict[str, Any]:
    answer = post(server, "/v1/responses", model=MODEL, temperature=0, **fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def say(server: Server, **fields: Any) -> httpx.Response:
    messages = [{"role": "user", "content": QUESTION}]
    return post(server, "/v1/chat/completions", model=MODEL, messages=messages, **fields)


def error_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


def test_a_restart_changes_nothing_and_costs_no_prompt(tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    with serve(tmp_path, LLM_PREFIX_CACHE_DIR=cache) as server:
        talk = post(server, "/v1/conversations", metadata={"title": "Capitals"}).json()["id"]
        long = "Remember this list of words: " + " ".join(f"word{n}" for n in range(300))
        first = respond(server, conversation=talk, input=long, max_output_tokens=30)
        second = respond(server, conversation=talk, input=QUESTION, max_output_tokens=30)
        known = first["usage"]["total_tokens"]
        assert known > 800
        # live: at most the new tokens
        assert second["usage"]["input_tokens_details"]["cached_tokens"] >= known - 2
        before = server.get(f"/v1/conversations/{talk}/items?order=asc").json()
        time.sleep(1)  # states are written soon after they were made
    with serve(tmp_path, LLM_PREFIX_CACHE_DIR=cache) as server:
        assert server.get(f"/v1/conversations/{talk}/items?order=asc").json() == before
        assert server.get(f"/v1/responses/{second['id']}").json() == second
        again = respond(server, conversation=talk, input="Thank you.", max_output_tokens=10)
        usage = again["usage"]
        known = second["usage"]["total_tokens"]
        cached = usage["input_tokens_details"]["cached_tokens"]
        assert cached >= known - 64, "what the disk holds is not read again"
        assert usage["input_tokens"] > known
        server.assert_no_alarm()


def test_regenerate_edit_and_branch(server: Server) -> None:
    talk = post(server, "/v1/conversations").json()["id"]
    respond(server, conversation=talk, input="Hello")
    items = server.get(f"/v1/conversations/{talk}/items?order=asc").json()["data"]
    question, answer = (item["id"] for item in items)
    respond(server, conversation={"id": talk, "after": question})
    path = server.get(f"/v1/conversations/{talk}/items?order=asc").json()["data"]
    assert [item["role"] for item in path] == ["user", "assistant"]
    assert path[0]["id"] == question
    assert path[1]["id"] != answer
    respond(server, conversation={"id": talk, "after": None}, input=QUESTION)
    path = server.get(f"/v1/conversations/{talk}/items?order=asc").json()["data"]
    assert [item["content"][0]["text"] for item in path] == [
        *(QUESTION, "The capital of France is Paris."),
    ]
    everything = server.get(f"/v1/conversations/{talk}/items?order=asc&branches=all").json()["data"]
    assert len(everything) == 5
    assert [item["parent_id"] for item in everything].count(None) == 2
    changed = post(server, f"/v1/conversations/{talk}", head=answer).json()
    assert changed["head"] == answer
    path = server.get(f"/v1/conversations/{talk}/items?order=asc").json()["data"]
    assert [item["id"] for item in path] == [question, answer]


def test_export_and_import(server: Server) -> None:
    talk = post(server, "/v1/conversations", metadata={"title": "Moving"}).json()["id"]
    respond(server, conversation=talk, input=QUESTION)
    first = server.get(f"/v1/conversations/{talk}/items").json()["data"][-1]["id"]
    respond(server, conversation={"id": talk, "after": first})
    exported = server.get(f"/v1/conversations/export?id={talk}")
    assert exported.headers["content-type"].startswith("application/x-ndjson")
    assert exported.text.count("\n") == 1
    taken = server.client.post(f"{server.url}/v1/conversations/import", content=exported.content)
    (copy,) = taken.json()["data"]
    assert copy["id"] != talk
    assert copy["metadata"] == {"title": "Moving"}

    def texts(identifier: str) -> list[Any]:
        found = server.get(f"/v1/conversations/{identifier}/items?branches=all&order=asc").json()
        return [(item["role"], item["content"], item["model"]) for item in found["data"]]

    assert texts(copy["id"]) == texts(talk)
    assert len(texts(talk)) == 3
    assert talk in server.get("/v1/conversations/export").text
    for bad in (b"", b"{}", b"[]", b'{"conversation": {}, "items": [{"type": "x"}]}', b"\xff"):
        answer = server.client.post(f"{server.url}/v1/conversations/import", content=bad)
        assert error_of(answer, 400)["message"]


def test_each_key_sees_its_own(tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text("rosa-key\nhugo-key\n")
    with serve(tmp_path, LLM_API_KEYS_FILE=str(keys)) as server:
        talk = post(server, "/v1/conversations", "rosa-key").json()["id"]
        made = post(
            server, "/v1/responses", "rosa-key", model=MODEL, input=QUESTION, conversation=talk
        ).json()
        stored = post(
            server,
            "/v1/chat/completions",
            "rosa-key",
            model=MODEL,
            messages=[{"role": "user", "content": "Hi"}],
            store=True,
            max_tokens=5,
        ).json()

        def get(path: str, key: str) -> httpx.Response:
            return server.get(path, {"authorization": f"Bearer {key}"})

        paths = (
            f"/v1/conversations/{talk}",
            f"/v1/conversations/{talk}/items",
            f"/v1/conversations/export?id={talk}",
            f"/v1/responses/{made['id']}",
            f"/v1/responses/{made['id']}?stream=true",
            f"/v1/responses/{made['id']}/input_items",
            f"/v1/chat/completions/{stored['id']}",
        )
        for path in paths:
            assert get(path, "rosa-key").status_code == 200, path
            assert error_of(get(path, "hugo-key"), 404)["code"] == "not_found"
            assert server.get(path).status_code == 401
        for path in ("/v1/conversations", "/v1/chat/completions"):
            assert len(get(path, "rosa-key").json()["data"]) == 1
            assert get(path, "hugo-key").json()["data"] == []
        cancelled = post(server, f"/v1/responses/{made['id']}/cancel", "hugo-key")
        assert cancelled.status_code == 404
        for field in ({"previous_response_id": made["id"]}, {"conversation": talk}):
            refused = post(server, "/v1/responses", "hugo-key", model=MODEL, input="x", **field)
            assert refused.status_code == 400
        assert "capital" not in server.log


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://127.0.0.1:PORT"}, 200),
        ({"origin": PAGE}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"host": "evil.example:PORT"}, 403),
        ({"host": "evil.example:PORT", "origin": "http://evil.example:PORT"}, 403),
        ({"host": "localhost:PORT"}, 200),
        ({"host": "[::1]:PORT"}, 200),
        ({"host": "mybox:PORT", "origin": "http://mybox:PORT"}, 200),
        ({"host": "mybox.local:PORT", "origin": "http://mybox.local:PORT"}, 200),
        ({"host": "192.168.1.7:PORT", "origin": "http://192.168.1.7:PORT"}, 200),
        ({"host": "mybox:PORT", "origin": "http://evil.example"}, 403),
    ],
)
def test_pages_of_other_sites_read_nothing(
    origins: Server, headers: dict[str, str], status: int
) -> None:
    sent = {name: value.replace("PORT", str(origins.port)) for name, value in headers.items()}
    for path in ("/v1/conversations", "/v1/conversations/export", "/v1/chat/completions"):
        assert origins.get(path, sent).status_code == status, path
    # one that sends no origin when it writes is no browser, and may call the server as it likes
    written = 200 if "origin" not in sent else status
    answer = origins.client.post(f"{origins.url}/v1/conversations", json={}, headers=sent)
    assert answer.status_code == written
    answer = origins.client.post(f"{origins.url}/admin/reload", headers=sent)
    assert answer.status_code == written
    # models may be asked from anywhere, as ever
    assert origins.get("/v1/models", sent).status_code == 200


@pytest.fixture(scope="module", params=["127.0.0.1", "0.0.0.0"])
def origins(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Wherever it listens, as in a container, the same names are its own."""
    settings = {"LLM_CORS_ORIGINS": f"*,{PAGE}", "LLM_HOST": request.param}
    with serve(tmp_path_factory.mktemp("origins"), SCRIPTED, **settings) as running:
        yield running


@contextmanager
def unable(folder: Path, url: str) -> Generator[Server]:
    with serve(folder, LLM_DATABASE_URL=url) as running:
        yield running
    running.assert_no_alarm()


def test_a_database_that_is_gone_costs_only_what_needs_it(tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    with unable(tmp_path, f"sqlite:///{tmp_path}/folder.db") as server:
        ready = server.get("/readyz")
        assert ready.status_code == 200
        assert ready.json()["status"] == "degraded"
        assert "database" in ready.json()["reason"]
        assert say(server).status_code == 200
        assert respond(server, input=QUESTION, store=False)["status"] == "completed"
        for refused in (
            server.get("/v1/conversations"),
            post(server, "/v1/conversations"),
            post(server, "/v1/responses", model=MODEL, input=QUESTION),
            server.get("/v1/responses/resp_1"),
            say(server, store=True),
        ):
            error = error_of(refused, 503)
            assert error["code"] == "store_unavailable"
            assert "the database says" in error["message"]
            assert refused.headers["retry-after"]
        (tmp_path / "folder.db").rmdir()
        wait_until(lambda: server.get("/readyz").json() == {"status": "ok"}, "the database")
        assert respond(server, input=QUESTION)["store"] is True


def test_with_keys_only_the_key_counts(tmp_path: Path) -> None:
    with serve(tmp_path, SCRIPTED, LLM_API_KEY="rosa-key", LLM_HOST="0.0.0.0") as server:
        foreign = {"host": f"evil.example:{server.port}", "origin": "http://evil.example"}
        assert server.get("/v1/conversations", foreign).status_code == 401
        known = foreign | {"authorization": "Bearer rosa-key"}
        assert server.get("/v1/conversations", known).status_code == 200


def test_nothing_is_stored_where_that_is_wished(tmp_path: Path) -> None:
    with unable(tmp_path, "none") as server:
        assert server.get("/readyz").json() == {"status": "ok"}
        made = respond(server, input=QUESTION)
        assert made["store"] is False
        refused = post(server, "/v1/responses", model=MODEL, input=QUESTION, store=True)
        assert "LLM_DATABASE_URL" in error_of(refused, 503)["message"]
        assert error_of(server.get("/v1/conversations"), 503)
        assert not list(tmp_path.rglob("*.db"))


@pytest.mark.skipif(find_programs() is None, reason="PostgreSQL is not installed")
def test_two_servers_share_a_database(tmp_path: Path) -> None:
    with run_postgres() as postgres:
        one, two = tmp_path / "one", tmp_path / "two"
        with (
            serve(one, SCRIPTED, LLM_DATABASE_URL=postgres.url) as first,
            serve(two, SCRIPTED, LLM_DATABASE_URL=postgres.url) as second,
        ):
            talk = post(first, "/v1/conversations").json()["id"]
            respond(first, conversation=talk, input="say Hello.")
            respond(second, conversation=talk, input="say Bye.")
            items = first.get(f"/v1/conversations/{talk}/items?order=asc").json()["data"]
            assert [item["content"][0]["text"] for item in items] == [
                *("say Hello.", "Hello.", "say Bye.", "Bye."),
            ]
            long = "say " + "many words " * 4000
            running = respond(first, conversation=talk, input=long, background=True)
            wait_until(
                lambda: bool(second.get(f"/v1/responses/{running['id']}").json()["output"]),
                "the other server to see what is written",
            )
            stopped = post(second, f"/v1/responses/{running['id']}/cancel").json()
            assert stopped["status"] == "cancelled"
            assert stopped["output"][0]["content"][0]["text"].startswith("many")
            first.wait_metric("corral_requests_running", 0)
            # one of them dies: the other tells what it left, within seconds
            running = respond(first, conversation=talk, input=long, background=True)
            first.process.kill()
            first.process.wait()
            wait_until(
                lambda: (
                    second.get(f"/v1/responses/{running['id']}").json()["status"] == "incomplete"
                ),
                "the dead server's response to be incomplete",
            )
            followed = second.get(f"/v1/responses/{running['id']}?stream=true&starting_after=1")
            assert "response.incomplete" in followed.text
            postgres.stop()
            wait_until(
                lambda: second.get("/readyz").json()["status"] == "degraded", "the outage to show"
            )
            assert say(second).status_code == 200
            error_of(second.get("/v1/conversations"), 503)
            postgres.start()
            wait_until(lambda: second.get("/readyz").json()["status"] == "ok", "the database")
            assert second.get(f"/v1/conversations/{talk}").status_code == 200
            assert "secret" not in second.log


def test_an_unreachable_server_is_told(tmp_path: Path) -> None:
    url = f"postgresql://corral:swordfish@127.0.0.1:{pick_port()}/corral"
    with unable(tmp_path, url) as server:
        error = error_of(server.get("/v1/conversations"), 503)
        assert "refused" in error["message"].lower() or "connect" in error["message"].lower()
        assert "swordfish" not in server.log


def test_an_answer_that_is_to_fill_its_room_does(server: Server) -> None:
    short = respond(server, input=QUESTION, max_output_tokens=64)
    assert short["status"] == "completed"
    made = respond(server, input=QUESTION, max_output_tokens=64, ignore_eos=True)
    assert (made["status"], made["usage"]["output_tokens"]) == ("incomplete", 64)
    assert made["incomplete_details"] == {"reason": "max_output_tokens"}
