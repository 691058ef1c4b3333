"""Bodies with very many elements: refused at once, and nobody else waits for it."""

import asyncio
import time
from typing import Any

import pytest

from tests.unit.api.served import (
    CHAT,
    COMPLETIONS,
    MODEL,
    TOOL,
    chat,
    completion,
    refuse,
    serve,
)

WIDE = [1] * 500_000
WIDE_CHAT: list[tuple[str, dict[str, Any]]] = [
    ("stop", {"stop": WIDE}),
    ("stop", {"stop": ["x"] * len(WIDE)}),
    ("stop_token_ids", {"stop_token_ids": ["x"] * len(WIDE)}),
    ("dry_sequence_breakers", {"dry_sequence_breakers": WIDE}),
    ("logit_bias", {"logit_bias": {str(token): "x" for token in range(100_000)}}),
    ("logit_bias", {"logit_bias": {str(token): 1 for token in range(1025)}}),
    ("modalities", {"modalities": WIDE}),
    ("modalities", {"modalities": ["text"] * 9}),
    ("tools", {"tools": WIDE}),
    ("tools", {"tools": [TOOL] * 513}),
    ("messages", {"messages": [{"role": "user", "content": WIDE}]}),
    (
        "messages",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}] * 1025}]},
    ),
    ("messages", {"messages": [{"role": "assistant", "content": "", "tool_calls": WIDE}]}),
]


@pytest.mark.parametrize(("name", "fields"), WIDE_CHAT, ids=[name for name, _ in WIDE_CHAT])
async def test_wide_arrays_are_refused_at_once(name: str, fields: dict[str, Any]) -> None:
    """The first wrong element is enough; to describe them all took seconds of work."""
    served = serve(max_body_bytes=10_000_000)
    started = time.process_time()
    error = await refuse(CHAT, chat(**fields), served)
    assert time.process_time() - started < 1.0
    assert error["param"].partition("[")[0].partition(".")[0] == name
    assert len(error["message"]) < 600


async def test_wide_messages_are_refused_at_once() -> None:
    served = serve(max_body_bytes=10_000_000, max_messages=1_000_000)
    started = time.process_time()
    assert (await refuse(CHAT, chat(messages=WIDE), served))["param"] == "messages[0]"
    assert time.process_time() - started < 1.0


MANY: list[list[Any]] = [["x"] * 20_000, [[1]] * 20_000, [[]] * 20_000]


@pytest.mark.parametrize("value", MANY, ids=["texts", "tokens", "empty"])
async def test_inputs_are_counted_before_they_are_read(value: list[Any]) -> None:
    served = serve(max_body_bytes=1_000_000)
    prompts = await refuse(COMPLETIONS, completion(prompt=value), served)
    assert prompts["message"] == "'prompt': at most 1024 inputs are taken."
    inputs = await refuse("/v1/embeddings", {"model": MODEL, "input": value}, served)
    assert inputs["message"] == "'input': at most 4 inputs are taken."


async def test_reading_a_large_body_does_not_hold_up_others() -> None:
    served = serve(max_body_bytes=20_000_000)
    late: list[float] = []

    async def watch() -> None:
        while True:
            started = time.process_time()
            await asyncio.sleep(0.01)
            late.append(time.process_time() - started)

    watching = asyncio.create_task(watch())
    body = b'{"model":"x","metadata":[' + b"1," * 8_000_000 + b"1]}"
    async with served.client() as client:
        started = time.process_time()
        response = await client.post(CHAT, content=body)
        whole = time.process_time() - started
    watching.cancel()
    assert response.status_code == 400
    assert max(late) < 0.7 * whole
