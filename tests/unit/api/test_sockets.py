"""What only a real connection shows: when bytes arrive, and what a client's leaving does."""

import json
import socket
import time
from collections.abc import Callable, Generator
from urllib.parse import urlsplit

import httpx
import pytest

from app.api import generating, sse
from app.core.errors import QueueTimeout
from tests.unit.api.served import CHAT, MODEL, Served, chat, listen, serve
from tests.unit.services.scripted import Script

FOREVER = Script(("a",), never_ends=True)


@pytest.fixture
def slow() -> Generator[tuple[Served, str], None, None]:
    """A service whose answers never end, and pings often."""
    served = serve(FOREVER, sse_ping_interval=0.05)
    with listen(served.app) as url:
        yield served, url


def until(is_true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 5
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_stream_arrives_as_it_is_made_and_is_cancelled(slow: tuple[Served, str]) -> None:
    served, url = slow
    with httpx.stream("POST", url + CHAT, json=chat(stream=True), timeout=5) as response:
        text = ""
        for piece in response.iter_text():
            text += piece
            if text.count(": ping\n\n") >= 2:
                break
    assert '"content":"a"' in text
    assert text.replace(": ping\n\n", "").count("data: ") == 2
    until(lambda: served.metrics.records)
    assert served.engine.cancelled == [served.engine.specs[0].id]
    assert served.metrics.records[0].outcome == "abort"
    until(lambda: ("http", CHAT, "POST", 499) in served.metrics.calls)
    until(lambda: served.pool.leases == 0)


def test_pings_come_before_the_first_token_too() -> None:
    served = serve(Script((), never_ends=True), sse_ping_interval=0.05)
    body = {"model": MODEL, "prompt": "x", "stream": True}
    with (
        listen(served.app) as url,
        httpx.stream("POST", url + "/v1/completions", json=body, timeout=5) as response,
    ):
        assert next(response.iter_text()).startswith(": ping\n\n")


def leave(url: str, path: str, body: object) -> None:
    """Send a request and close the connection without waiting for its answer."""
    where = urlsplit(url)
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n"
    with socket.create_connection((where.hostname, where.port or 80)) as connection:
        connection.sendall(head.encode() + data)
        time.sleep(0.1)


def test_a_client_that_stops_reading_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "SEND_TIMEOUT", 0.3)
    served = serve(Script(("x" * 100_000,) * 500, never_ends=True))
    with listen(served.app) as url:
        where, data = urlsplit(url), json.dumps(chat(stream=True)).encode()
        head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n"
        with socket.create_connection((where.hostname, where.port or 80)) as connection:
            connection.sendall(head.encode() + data)
            until(lambda: ("http", CHAT, "POST", 499) in served.metrics.calls)
            until(lambda: served.pool.leases == 0)
    assert served.metrics.records[0].outcome == "abort"


def test_a_whole_answer_is_cancelled_when_the_client_leaves(slow: tuple[Served, str]) -> None:
    served, url = slow
    leave(url, CHAT, chat(n=2))
    until(lambda: served.metrics.records)
    assert len(served.engine.cancelled) == 2
    assert served.gate.running == 0
    until(lambda: served.pool.leases == 0)


def test_waiting_for_a_model_is_given_up_when_the_client_leaves(slow: tuple[Served, str]) -> None:
    served, url = slow
    served.pool.lease_delay = 30
    leave(url, CHAT, chat(stream=True))
    until(lambda: ("http", CHAT, "POST", 499) in served.metrics.calls)
    assert not served.engine.specs


def test_a_queued_stream_is_given_up_when_the_client_leaves() -> None:
    served = serve(Script(start_delay=0.5, never_ends=True))
    with listen(served.app) as url:
        leave(url, CHAT, chat(stream=True))
        until(lambda: served.engine.cancelled)
        until(lambda: ("http", CHAT, "POST", 499) in served.metrics.calls)


def test_the_head_waits_for_the_queue_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generating, "HEAD_GRACE", 0.05)
    late = QueueTimeout("The request waited too long.", retry_after=2)
    served = serve(Script((), failure=late, start_delay=1.5), sse_ping_interval=0.1)
    with listen(served.app) as url:
        started = time.monotonic()
        with httpx.stream("POST", url + CHAT, json=chat(stream=True), timeout=5) as response:
            assert response.status_code == 200
            assert time.monotonic() - started < 1.3
            text = response.read().decode()
    assert ": ping\n\n" in text
    last = text.removesuffix("\n\n").rpartition("\n\n")[2]
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "queue_timeout"


def test_connections_are_kept_after_errors_and_streams() -> None:
    served = serve()
    with listen(served.app) as url, httpx.Client(base_url=url) as client:
        for _ in range(2):
            assert client.post(CHAT, json=chat(stream=True)).text.endswith("data: [DONE]\n\n")
            assert client.post(CHAT, json=chat(n=99)).status_code == 400
            assert client.get("/health").status_code == 200


def test_a_drain_lets_streams_finish() -> None:
    served = serve(Script(("a", "b", "c"), pause=0.1))
    with listen(served.app) as url, httpx.Client(base_url=url) as client:
        with client.stream("POST", CHAT, json=chat(stream=True)) as response:
            served.gate.close()
            assert httpx.post(url + CHAT, json=chat()).status_code == 503
            assert response.read().decode().endswith("data: [DONE]\n\n")
        until(lambda: not served.gate.running)
