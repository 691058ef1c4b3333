"""Refusing new work while the server shuts down."""

import asyncio


class DrainGate:
    """Open while the server takes requests; the composition closes it on SIGTERM.

    `close()` makes new requests fail with Draining; operational routes go on. `wait_idle()` returns
    once the requests that were let in are answered.
    """

    def __init__(self) -> None:
        self._is_closed = False
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    @property
    def running(self) -> int:
        """Requests that are being answered."""
        return self._running

    def close(self) -> None:
        self._is_closed = True

    async def wait_idle(self) -> None:
        await self._idle.wait()
