"""Asking a server how it is, while it works."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from time import perf_counter

from app.cli.bench.http import NoAnswerError, Server

PER_SECOND = 20


@asynccontextmanager
async def probing(server: Server) -> AsyncGenerator[list[float]]:
    """Ask for `/health` while the block runs; the list fills with answer times in seconds.

    A server without the route has none. Probes start at fixed times, however long answers take.
    """
    times: list[float] = []

    async def probe() -> None:
        started = perf_counter()
        try:
            reply = await server.root.get("/health")
        except (NoAnswerError, TimeoutError):
            return
        if reply.status == 200:
            times.append(perf_counter() - started)

    async def ask() -> None:
        async with asyncio.TaskGroup() as probes:
            while True:
                probes.create_task(probe())
                await asyncio.sleep(1 / PER_SECOND)

    asking = asyncio.create_task(ask())
    try:
        yield times
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
