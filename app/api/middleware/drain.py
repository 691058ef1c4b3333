"""Refusing new work while the server shuts down."""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.context import context_of
from app.api.errors import error_response
from app.core.errors import Draining

RETRY_AFTER = 5


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

    def enter(self) -> None:
        self._running += 1
        self._idle.clear()

    def leave(self) -> None:
        self._running -= 1
        if not self._running:
            self._idle.set()


class DrainMiddleware:
    def __init__(self, app: ASGIApp, *, gate: DrainGate, open_paths: frozenset[str]) -> None:
        self._app = app
        self._gate = gate
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._open_paths:
            await self._app(scope, receive, send)
            return
        if self._gate.is_closed:
            error = Draining("The server is shutting down.", retry_after=RETRY_AFTER)
            context_of(scope).error_code = error.code
            await error_response(error, scope)(scope, receive, send)
            return
        self._gate.enter()
        try:
            await self._app(scope, receive, send)
        finally:
            self._gate.leave()
