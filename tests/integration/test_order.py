"""Who goes first when there is not enough room for all at once."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Start
from tests.integration.load import (
    CHAT,
    COMPLETIONS,
    ENDLESS,
    SHORT,
    lasting,
    open_running,
    wait_idle,
    wait_metric,
)
from tests.support.server import MODEL, Server, serve
from tests.support.wire import ask, open_stream

WAITING = "corral_requests_waiting"
TOKENS = 12
PATIENCE = 0.05
QUICK, OTHER, NIGHTLY = (
    {"authorization": f"Bearer {key}"} for key in ("quick", "other", "nightly")
)
Waiting = tuple[str, dict[str, str], dict[str, Any]]
"""A name, headers, and fields of a request."""


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One sequence at a time, and three keys, one of which is for batches."""
    folder = tmp_path_factory.mktemp("order")
    keys = folder / "keys.txt"
    keys.write_text("quick\nother\nnightly priority=batch\n")
    with serve(folder, LLM_MAX_SEQUENCES="1", LLM_API_KEYS_FILE=str(keys)) as running:
        yield running
    running.assert_no_alarm()


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Four sequences at a time, and a queue in which nobody may wait for long."""
    folder = tmp_path_factory.mktemp("four")
    with serve(folder, LLM_MAX_SEQUENCES="4", LLM_QUEUE_TIMEOUT=str(PATIENCE)) as running:
        yield running
    running.assert_no_alarm()


async def order_of(server: Server, first: Waiting, queue: list[Waiting]) -> list[str]:
    """The order in which those that wait for the first one's place are answered: as only one runs
    at a time, it is the order in which they start."""
    _, headers, fields = first
    events = await open_stream(server.port, COMPLETIONS, {**ENDLESS, **fields}, headers)
    await events.first()
    ended: list[str] = []

    async def one(name: str, headers: dict[str, str], fields: dict[str, Any]) -> None:
        answer = await ask(server.port, "POST", CHAT, {**SHORT, **fields}, headers)
        assert answer.status == 200, answer.body
        ended.append(name)

    tasks: list[asyncio.Task[None]] = []
    for waiting in queue:
        tasks.append(asyncio.create_task(one(*waiting)))
        await wait_metric(server, WAITING, len(tasks))
    await events.close()
    await asyncio.gather(*tasks)
    await wait_idle(server)
    return ended


async def test_interactive_requests_start_before_batches(narrow: Server) -> None:
    queue: list[Waiting] = [
        ("last", NIGHTLY, {"priority": 500}),
        ("key", NIGHTLY, {}),
        ("raised", NIGHTLY, {"priority": 0, "service_tier": "priority"}),
        ("flex", QUICK, {"service_tier": "flex"}),
        ("five", QUICK, {"priority": 5}),
        ("plain", QUICK, {}),
        ("word", QUICK, {"priority": "interactive"}),
    ]
    ended = await order_of(narrow, ("first", QUICK, {}), queue)
    assert set(ended[:2]) == {"plain", "word"}
    assert ended[2] == "five"
    assert set(ended[3:6]) == {"key", "raised", "flex"}
    assert ended[6] == "last"


async def test_a_key_with_a_long_queue_does_not_keep_another_waiting(narrow: Server) -> None:
    queue: list[Waiting] = [(f"quick {number}", QUICK, {}) for number in range(6)]
    queue += [(f"other {number}", OTHER, {}) for number in range(2)]
    ended = await order_of(narrow, ("first", QUICK, {}), queue)
    assert {"other 0", "other 1"} <= set(ended[:3]), ended


async def test_without_keys_end_users_share(start: Start) -> None:
    server = start(LLM_MAX_SEQUENCES="1")
    queue: list[Waiting] = [(f"rosa {number}", {}, {"user": "rosa"}) for number in range(4)]
    queue += [
        ("header", {"x-openwebui-user-id": "karl"}, {}),
        ("field", {}, {"safety_identifier": "ada"}),
    ]
    ended = await order_of(server, ("first", {}, {"user": "rosa"}), queue)
    assert {"header", "field"} <= set(ended[:3]), ended


async def test_a_batch_gives_its_place_to_an_interactive_request(narrow: Server) -> None:
    events = await open_stream(narrow.port, COMPLETIONS, lasting(3000), NIGHTLY)
    await events.first()
    before = narrow.metrics()
    answer = await ask(narrow.port, "POST", CHAT, SHORT, QUICK)
    assert answer.status == 200, answer.body
    between = narrow.metrics()
    chunks = await events.rest()
    await events.close()
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    parked = "corral_preemptions_total"
    assert between.value(parked) - before.value(parked) == 1
    await wait_idle(narrow)
    resumed = "corral_resumes_total"
    assert narrow.metrics().value(resumed) - before.value(resumed) == 1


@pytest.mark.parametrize("route", [CHAT, COMPLETIONS])
async def test_more_answers_than_places(four: Server, route: str) -> None:
    """Twelve answers from four places: each whole, although the later ones wait for longer than
    a request may."""
    payload = {**lasting(TOKENS), "n": 12, "temperature": 1.0, "seed": 1}
    if route == CHAT:
        payload["messages"] = [{"role": "user", "content": payload.pop("prompt")}]
    answer = await ask(four.port, "POST", route, payload)
    assert answer.status == 200, answer.body
    body = answer.json()
    assert [choice["index"] for choice in body["choices"]] == list(range(12))
    assert {choice["finish_reason"] for choice in body["choices"]} == {"length"}
    assert body["usage"]["completion_tokens"] == 12 * TOKENS
    await wait_idle(four)


async def test_more_streamed_answers_than_places(four: Server) -> None:
    tokens = 400
    payload = {**lasting(tokens), "n": 12, "stream_options": {"include_usage": True}}
    before = four.metrics()
    events = await open_stream(four.port, COMPLETIONS, payload)
    *chunks, last = await events.rest()
    await events.close()
    ends = [c["choices"][0] for c in chunks if c["choices"][0]["finish_reason"] is not None]
    assert sorted(choice["index"] for choice in ends) == list(range(12))
    assert {choice["finish_reason"] for choice in ends} == {"length"}
    assert last["usage"]["completion_tokens"] == 12 * tokens
    await wait_idle(four)
    after = four.metrics()
    waits = "corral_queue_wait_seconds"
    assert after.value(f"{waits}_count") - before.value(f"{waits}_count") == 12
    waited = after.value(f"{waits}_sum") - before.value(f"{waits}_sum")
    assert waited > 8 * PATIENCE, "eight of them had to wait, and longer than a request may"


async def test_another_request_beside_many_answers(four: Server) -> None:
    """It waits for a place, not for all the others; too long a wait is told."""
    many = await open_running(four, {**ENDLESS, "n": 12})
    answer = await ask(four.port, "POST", CHAT, {**SHORT, "model": MODEL})
    assert answer.status == 503, answer.body
    assert answer.error["code"] == "queue_timeout"
    await many.close()
    await wait_idle(four)
    assert (await ask(four.port, "POST", CHAT, SHORT)).status == 200


def test_a_bad_keys_file_ends_the_start_and_shows_no_key(tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text("good\nsk-secret priority=soon\n")
    with pytest.raises(AssertionError) as caught, serve(tmp_path, LLM_API_KEYS_FILE=str(keys)):
        pass
    told = str(caught.value)
    assert "the server ended with 2" in told
    assert f"LLM_API_KEYS_FILE={keys}, line 2: after a key there may only be" in told
    assert "sk-secret" not in told
