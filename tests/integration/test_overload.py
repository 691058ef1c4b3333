"""Too many requests, and requests nobody waits for any more."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.conftest import Start, connect
from tests.integration.load import (
    CHAT,
    COMPLETIONS,
    ENDLESS,
    SHORT,
    WALK,
    lasting,
    open_running,
    tokens_in,
    wait_idle,
    wait_metric,
)
from tests.support.server import MODEL, Server, serve
from tests.support.wire import JSON_TYPE, Connection, ask

RUNNING = "corral_requests_running"
WAITING = "corral_requests_waiting"


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One sequence at a time, and room for one more to wait."""
    folder = tmp_path_factory.mktemp("narrow")
    with serve(folder, LLM_MAX_SEQUENCES="1", LLM_MAX_QUEUE="1") as running:
        yield running
    running.assert_no_alarm()


def ask_with_sdk(server: Server) -> openai.RateLimitError:
    with connect(server) as client, pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Hello!"}], max_tokens=4
        )
    return caught.value


async def test_a_full_queue_turns_away_and_the_others_finish(narrow: Server) -> None:
    await wait_idle(narrow)
    length = await tokens_in(narrow, seconds=1)
    running = await open_running(narrow, lasting(length))
    waiting = asyncio.create_task(ask(narrow.port, "POST", CHAT, SHORT))
    await wait_metric(narrow, WAITING, 1)

    refused = [
        await ask(narrow.port, "POST", CHAT, SHORT),
        await ask(narrow.port, "POST", CHAT, {**SHORT, "stream": True}),
        await ask(narrow.port, "POST", COMPLETIONS, {**ENDLESS, "n": 2}),
    ]
    for answer in refused:
        assert answer.status == 429, answer.body
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.error["type"] == "rate_limit_error"
        assert answer.error["code"] == "queue_full"
        assert "rate limit" in answer.error["message"].lower()
    seen = await asyncio.to_thread(ask_with_sdk, narrow)
    assert seen.code == "queue_full"
    assert int(seen.response.headers["retry-after"]) >= 1

    chunks = await running.rest()
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    await running.close()
    answer = await waiting
    assert answer.status == 200, answer.body
    metrics = narrow.metrics()
    assert metrics.value("corral_queue_rejected_total", reason="queue_full") == 4


async def test_waiting_too_long_is_unavailable(start: Start) -> None:
    server = start(LLM_MAX_SEQUENCES="1", LLM_QUEUE_TIMEOUT="0.5")
    running = await open_running(server, ENDLESS)
    for payload in (SHORT, {**SHORT, "stream": True}):
        answer = await ask(server.port, "POST", CHAT, payload)
        assert answer.status == 503, answer.body
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.error["type"] == "unavailable_error"
        assert answer.error["code"] == "queue_timeout"
        assert "rate limit" not in answer.error["message"].lower()
        assert "429" not in answer.error["message"]
    assert server.metrics().value(RUNNING) == 1, "the running stream was not to be disturbed"
    await running.close()
    await wait_idle(server)
    assert (await ask(server.port, "POST", CHAT, SHORT)).status == 200


async def test_leaving_a_stream_stops_it(narrow: Server) -> None:
    await wait_idle(narrow)
    before = narrow.metrics()
    events = await open_running(narrow, ENDLESS)
    await wait_metric(narrow, RUNNING, 1)
    await events.close()
    await wait_idle(narrow)
    after = narrow.metrics()
    generated = "corral_generated_tokens_total"
    assert after.value(generated) - before.value(generated) < ENDLESS["max_tokens"] / 2
    assert narrow.metrics().value(generated) == after.value(generated)
    for name in ("corral_sequences_finished_total", "corral_requests_total"):
        label = {"reason": "abort"} if "sequences" in name else {"outcome": "abort"}
        assert after.value(name, **label) == before.value(name, **label) + 1


@pytest.mark.parametrize("payload", [ENDLESS, {**ENDLESS, "stream": True}])
async def test_leaving_before_the_answer_stops_it(narrow: Server, payload: dict[str, Any]) -> None:
    await wait_idle(narrow)
    generated = "corral_generated_tokens_total"
    before = narrow.metrics().value(generated)
    connection = await send(narrow, payload)
    await wait_metric(narrow, RUNNING, 1)
    await connection.close()
    await wait_idle(narrow)
    assert narrow.metrics().value(generated) - before < ENDLESS["max_tokens"] / 2


async def test_leaving_while_the_prompt_is_read(narrow: Server) -> None:
    await wait_idle(narrow)
    name = "corral_prompt_tokens_computed_total"
    before = narrow.metrics()
    connection = await send(narrow, {**ENDLESS, "prompt": WALK * 1000})
    await wait_metric(narrow, RUNNING, 1)
    await connection.close()
    await wait_idle(narrow)
    after = narrow.metrics()
    asked = after.value("corral_prompt_tokens_total") - before.value("corral_prompt_tokens_total")
    assert asked > 10_000
    assert after.value(name) - before.value(name) < asked


async def test_leaving_the_queue_never_starts(narrow: Server) -> None:
    await wait_idle(narrow)
    running = await open_running(narrow, ENDLESS)
    await wait_metric(narrow, RUNNING, 1)
    names = (
        "corral_prompt_tokens_total",  # of admitted sequences
        "corral_prompt_tokens_computed_total",
        "corral_queue_wait_seconds_count",  # admitted sequences
    )
    before = narrow.metrics()
    for payload in (SHORT, {**SHORT, "stream": True}):
        connection = await send(narrow, payload, CHAT)
        await wait_metric(narrow, WAITING, 1)
        await connection.close()
        await wait_metric(narrow, WAITING, 0)
    await running.close()
    await wait_idle(narrow)
    after = narrow.metrics()
    for name in names:
        assert after.value(name) == before.value(name) > 0, name
    assert (await ask(narrow.port, "POST", CHAT, SHORT)).status == 200


async def test_many_leave_at_once(server: Server) -> None:
    """Half of the callers leave at different moments; the other half gets whole answers."""
    leaving = [await open_running(server, ENDLESS) for _ in range(6)]
    staying = [asyncio.create_task(ask(server.port, "POST", CHAT, SHORT)) for _ in range(6)]
    for events in leaving:
        await events.first()
        await events.close()
    answers = await asyncio.gather(*staying)
    assert [answer.status for answer in answers] == [200] * 6
    await wait_idle(server)


async def send(server: Server, payload: dict[str, Any], target: str = COMPLETIONS) -> Connection:
    """A request whose answer nobody reads."""
    connection = await Connection.open(server.port)
    await connection.send("POST", target, json.dumps(payload).encode(), JSON_TYPE)
    return connection
