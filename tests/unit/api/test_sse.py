"""Event streams: their head, their end, who is told of it, and what may not cut them."""

import asyncio
from collections.abc import AsyncGenerator, Callable

import httpx
import pytest
from sse_starlette.sse import AppStatus
from starlette.types import Message

from app.api.disconnect import ClientGone
from app.api.sse import EventStreamResponse
from tests.unit.api.served import CHAT, chat, frames, listen, serve
from tests.unit.services.scripted import Script

SLOW = Script(("a", "b", "c"), pause=0.2)


class Exchange:
    """One response on a connection that a test holds the other end of."""

    def __init__(
        self,
        body: AsyncGenerator[bytes, None],
        ping_interval: float = 60.0,
        make_ping: Callable[[], bytes] = lambda: b": ping\n\n",
    ) -> None:
        self.sent: list[Message] = []
        self.closed = 0
        self.left = asyncio.Event()
        self.response = EventStreamResponse(
            body, ping_interval=ping_interval, close=self._close, make_ping=make_ping
        )

    async def run(self) -> None:
        await self.response({"type": "http", "method": "POST"}, self._receive, self._send)

    @property
    def bodies(self) -> list[bytes]:
        return [message["body"] for message in self.sent[1:]]

    def _close(self) -> None:
        self.closed += 1

    async def _receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.sent.append(message)
        if not message.get("more_body", True):
            self.left.set()  # as servers do once the answer is whole


async def two(pause: float = 0.0) -> AsyncGenerator[bytes, None]:
    yield b"data: 1\n\ndata: 2\n\n"
    await asyncio.sleep(pause)
    yield b"data: [DONE]\n\n"


async def test_the_head_and_frames_as_they_are() -> None:
    exchange = Exchange(two())
    await exchange.run()
    head = exchange.sent[0]
    assert head["status"] == 200
    assert sorted(head["headers"]) == [
        (b"cache-control", b"no-cache"),
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"x-accel-buffering", b"no"),
    ]
    assert exchange.bodies == [b"data: 1\n\ndata: 2\n\n", b"data: [DONE]\n\n", b""]
    assert exchange.closed == 1


async def test_pings_are_writes_of_their_own() -> None:
    exchange = Exchange(two(pause=0.25), ping_interval=0.1)
    await exchange.run()
    assert exchange.bodies[1:-2] == [b": ping\n\n"] * (len(exchange.bodies) - 3)
    assert len(exchange.bodies) >= 4


async def test_a_ping_on_its_way_does_not_come_after_the_end() -> None:
    is_on_its_way = asyncio.Event()

    def make_ping() -> bytes:
        is_on_its_way.set()
        return b": ping\n\n"

    async def body() -> AsyncGenerator[bytes, None]:
        yield b"data: 1\n\n"
        await is_on_its_way.wait()
        yield b"data: [DONE]\n\n"
        await asyncio.sleep(0.1)

    exchange = Exchange(body(), ping_interval=0.02, make_ping=make_ping)
    await exchange.run()
    assert exchange.bodies == [b"data: 1\n\n", b"data: [DONE]\n\n", b""]


async def test_a_client_that_leaves_is_told_of_once() -> None:
    is_ended = False

    async def endless() -> AsyncGenerator[bytes, None]:
        nonlocal is_ended
        try:
            yield b"data: 1\n\n"
            await asyncio.Event().wait()
        finally:
            is_ended = True

    exchange = Exchange(endless())
    running = asyncio.ensure_future(exchange.run())
    await asyncio.sleep(0.05)
    exchange.left.set()
    with pytest.raises(ClientGone):
        await running
    assert is_ended
    assert exchange.closed == 1


async def test_a_failure_comes_out_as_it_is() -> None:
    async def failing() -> AsyncGenerator[bytes, None]:
        yield b"data: 1\n\n"
        raise KeyError("x")

    exchange = Exchange(failing())
    with pytest.raises(KeyError):
        await exchange.run()
    assert exchange.closed == 1
    assert exchange.bodies == [b"data: 1\n\n"]


async def test_a_cancelled_answer_is_closed() -> None:
    exchange = Exchange(two(pause=60))
    running = asyncio.ensure_future(exchange.run())
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert exchange.closed == 1


async def test_a_server_about_to_exit_cuts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AppStatus, "should_exit", True)
    exchange = Exchange(two(pause=0.3))
    await exchange.run()
    assert exchange.bodies[-2:] == [b"data: [DONE]\n\n", b""]


async def test_an_exit_in_the_middle_cuts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = Exchange(two(pause=1.2))  # longer than the library takes to notice
    running = asyncio.ensure_future(exchange.run())
    await asyncio.sleep(0.05)
    monkeypatch.setattr(AppStatus, "should_exit", True)
    await running
    assert exchange.bodies[-2:] == [b"data: [DONE]\n\n", b""]


def test_one_app_in_several_loops_one_after_another() -> None:
    for _ in range(3):
        served = serve()
        assert frames(asyncio.run(served.post(CHAT, chat(stream=True))))
        assert ("http", CHAT, "POST", 200) in served.metrics.calls


def test_the_end_of_one_app_does_not_reach_another() -> None:
    first, second = serve(), serve(SLOW)
    with (
        listen(second.app) as url,
        httpx.stream("POST", url + CHAT, json=chat(stream=True), timeout=5) as response,
    ):
        with listen(first.app) as other:
            whole = httpx.post(other + CHAT, json=chat(stream=True)).text
            assert whole.endswith("data: [DONE]\n\n")
        assert response.read().decode().endswith("data: [DONE]\n\n")
