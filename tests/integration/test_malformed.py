"""1000 malformed requests at each route: every one is refused politely, and nothing breaks."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from tests.support.malformed import (
    ROUTES,
    Malformed,
    encode,
    malform,
    malform_models,
    nest_arguments,
    stretch,
    widen,
)
from tests.support.server import MODEL, Server
from tests.support.wire import JSON_TYPE, Answer, Connection

COUNT = 1000
CALLERS = 4
PATIENCE = 5.0  # seconds for `/livez`; generous, because the machine may be busy


def find_fault(answer: Answer) -> str | None:
    """What is wrong with the answer to a malformed request."""
    if not 400 <= answer.status < 500 or answer.status == 429:  # nobody else is there to wait for
        return f"status {answer.status}, {answer.body[:200]!r}"
    try:
        assert answer.error
    except (AssertionError, KeyError, ValueError, TypeError, AttributeError) as error:
        return f"status {answer.status}, not an error object: {error}"
    return None


async def send_all(server: Server, requests: Sequence[Malformed]) -> list[str]:
    """Sends them one after the other, on one connection while the server keeps it open."""
    faults: list[str] = []
    connection = await Connection.open(server.port)
    for request in requests:
        answer = await connection.ask(
            request.method, request.target, request.body or b"", request.headers
        )
        if fault := find_fault(answer):
            faults.append(f"{request.what}: {fault}")
        if answer.headers.get("connection") == "close":
            await connection.close()
            connection = await Connection.open(server.port)
    await connection.close()
    return faults


async def send_concurrently(server: Server, requests: Sequence[Malformed]) -> list[str]:
    parts = [requests[offset::CALLERS] for offset in range(CALLERS)]
    return [
        fault
        for part in await asyncio.gather(*(send_all(server, p) for p in parts))
        for fault in part
    ]


async def ask_well(server: Server, method: str, target: str, body: dict[str, Any] | None) -> Answer:
    async with await Connection.open(server.port) as connection:
        return await connection.ask(
            method, target, None if body is None else encode(body), JSON_TYPE
        )


@pytest.mark.parametrize("name", ROUTES)
async def test_malformed_bodies(server: Server, name: str) -> None:
    route = ROUTES[name]
    requests = malform(route, COUNT, seed=2026)
    assert len(requests) == COUNT
    faults = await send_concurrently(server, requests)
    assert not faults, f"{len(faults)} of {COUNT}:\n" + "\n".join(faults[:25])
    good = await ask_well(server, "POST", route.target, dict(route.good))
    assert good.status == 200, good.body
    server.assert_no_alarm()


async def test_malformed_requests_for_models(server: Server) -> None:
    requests = malform_models(COUNT, seed=2026)
    assert len(requests) == COUNT
    faults = await send_concurrently(server, requests)
    assert not faults, f"{len(faults)} of {COUNT}:\n" + "\n".join(faults[:25])
    for target in ("/v1/models", f"/v1/models/{MODEL}", "/v1/models/lab/random:tiny"):
        assert (await ask_well(server, "GET", target, None)).status == 200
    server.assert_no_alarm()


@asynccontextmanager
async def responsive(server: Server) -> AsyncGenerator[None]:
    """Checks that `/livez` answers in time all the while."""
    slowest = 0.0

    async def watch() -> None:
        nonlocal slowest
        async with await Connection.open(server.port) as connection:
            while True:
                started = time.monotonic()
                assert (await connection.ask("GET", "/livez")).status == 200
                slowest = max(slowest, time.monotonic() - started)
                await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.05)
    yield
    await asyncio.sleep(0.05)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    assert slowest < PATIENCE


@pytest.mark.parametrize("name", ROUTES)
async def test_wide_arrays_hold_up_nobody(server: Server, name: str) -> None:
    for request in widen(name):
        async with responsive(server):
            faults = await send_all(server, [request])
        assert not faults
    server.assert_no_alarm()


async def test_extremes_are_answered_or_refused(server: Server) -> None:
    requests = [*stretch(), *nest_arguments(MODEL), *nest_arguments("lab/random:tiny")]
    async with await Connection.open(server.port) as connection:
        for request in requests:
            async with responsive(server):
                answer = await connection.ask("POST", request.target, request.body, JSON_TYPE)
            assert answer.status in {200, 400}, (request.what, answer.body[:300])
            if answer.status == 400:
                assert answer.error
    good = await ask_well(server, "POST", ROUTES["chat"].target, dict(ROUTES["chat"].good))
    assert good.status == 200
    server.assert_no_alarm()


def test_the_requests_are_the_same_every_time() -> None:
    for route in ROUTES.values():
        assert malform(route, COUNT, seed=1) == malform(route, COUNT, seed=1)
    assert malform_models(COUNT, seed=1) == malform_models(COUNT, seed=1)
