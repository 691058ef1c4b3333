"""Signals: what runs may finish, what is new is refused, and nobody waits for ever."""

import asyncio
import signal

import pytest

from tests.conftest import Start
from tests.integration.load import (
    CHAT,
    COMPLETIONS,
    ENDLESS,
    SHORT,
    lasting,
    open_running,
    tokens_in,
)
from tests.support.server import Server, wait_until
from tests.support.wire import ask


async def wait_draining(server: Server) -> None:
    def is_draining() -> bool:
        return server.get("/readyz").status_code == 503

    await asyncio.to_thread(wait_until, is_draining, "/readyz to be 503")


async def test_drain(start: Start) -> None:
    server = start(LLM_DRAIN_TIMEOUT="600")
    length = await tokens_in(server, seconds=0.7)
    stream = await open_running(server, lasting(length))
    whole = asyncio.create_task(ask(server.port, "POST", COMPLETIONS, lasting(length)))
    await asyncio.to_thread(server.wait_metric, "corral_requests_running", 2)
    server.terminate()
    await wait_draining(server)

    for payload in (SHORT, {**SHORT, "stream": True}):
        refused = await ask(server.port, "POST", CHAT, payload)
        assert refused.status == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.error["code"] == "draining"
        assert refused.error["type"] == "unavailable_error"
    assert server.get("/livez").status_code == 200
    assert server.get("/startupz").status_code == 200
    assert server.get("/health").status_code == 503
    assert server.metrics().value("corral_requests_running") > 0

    chunks = await stream.rest()
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    await stream.close()
    answer = await whole
    assert answer.status == 200
    assert answer.json()["usage"]["completion_tokens"] == length
    assert await asyncio.to_thread(server.wait_exit) == 0


async def test_a_stream_that_outlasts_the_drain_ends_with_an_error(start: Start) -> None:
    server = start(LLM_DRAIN_TIMEOUT="0.5")
    stream = await open_running(server, ENDLESS, ends_well=False)
    whole = asyncio.create_task(ask(server.port, "POST", COMPLETIONS, ENDLESS))
    await asyncio.to_thread(server.wait_metric, "corral_requests_running", 2)
    server.terminate()
    *_, last = await stream.rest()
    assert last["error"]["code"] == "draining"
    assert last["error"]["message"]
    await stream.close()
    answer = await whole
    assert answer.status == 503
    assert answer.error["code"] == "draining"
    assert await asyncio.to_thread(server.wait_exit) == 0


async def test_a_second_signal_forces(start: Start) -> None:
    server = start(LLM_DRAIN_TIMEOUT="600")
    stream = await open_running(server, ENDLESS)
    server.terminate()
    await wait_draining(server)
    assert server.process.poll() is None
    server.terminate()
    assert await asyncio.to_thread(server.wait_exit) != 0
    await stream.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_at_once(start: Start, number: signal.Signals) -> None:
    server = start(LLM_DRAIN_TIMEOUT="600")
    server.process.send_signal(number)
    assert server.wait_exit() == 0
