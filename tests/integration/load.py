"""Requests that last as long as a test needs them."""

import asyncio
import time
from typing import Any

from tests.support.server import MODEL, Server
from tests.support.wire import Events, open_stream

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
WALK = "Once upon a time there was a llama that liked to walk. "
SHORT: dict[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Hello!"}],
    "max_tokens": 4,
}


def lasting(tokens: int) -> dict[str, Any]:
    """A request that generates exactly so many tokens."""
    return {
        "model": MODEL,
        "prompt": WALK,
        "max_tokens": tokens,
        "ignore_eos": True,
        "temperature": 0,
    }


ENDLESS = lasting(32_000)


async def tokens_in(server: Server, seconds: float) -> int:
    """How many tokens keep the server busy at least that long, busy as the machine is now.

    The longer a text, the slower its next token: it lasts longer than the time that is asked for.
    """
    sample = 200
    events = await open_stream(server.port, COMPLETIONS, lasting(sample))
    await events.first()
    started = time.monotonic()
    await events.rest()
    await events.close()
    pace = sample / (time.monotonic() - started)
    return max(200, min(round(pace * seconds), 30_000))


async def open_running(
    server: Server, payload: dict[str, Any], *, ends_well: bool = True
) -> Events:
    """A stream whose first token has come."""
    events = await open_stream(server.port, COMPLETIONS, payload, ends_well=ends_well)
    await events.first()
    return events


async def wait_metric(server: Server, name: str, value: float) -> None:
    """Like `server.wait_metric`, while the other requests of the test go on."""
    await asyncio.to_thread(server.wait_metric, name, value)


async def wait_idle(server: Server) -> None:
    for name in ("corral_requests_running", "corral_requests_waiting", "corral_kv_tokens_used"):
        await wait_metric(server, name, 0)
