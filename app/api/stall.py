"""Clients that stop reading."""

import asyncio
from types import TracebackType
from typing import Self

from starlette.types import Message, Send

from app.api.disconnect import ClientGone


class StallWatch:
    """Ends its block with ClientGone once a `send` in it has waited `seconds` for the client.

    One timer looks after all of them: a timeout around each would be a fifth of what the event
    loop does for a streamed token.
    """

    def __init__(self, send: Send, seconds: float) -> None:
        self._send = send
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._timeout = asyncio.timeout(None)
        self._waiting = 0  # sends that have not come back
        self._since = 0.0  # when the first of them began, or one of them came back

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        self._timer = self._loop.call_later(self._seconds, self._look)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        self._timer.cancel()
        try:
            return await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError:  # its own one: others come as they are
            raise ClientGone from None

    async def send(self, message: Message) -> None:
        if not self._waiting:
            self._since = self._loop.time()
        self._waiting += 1
        try:
            await self._send(message)
        finally:
            self._waiting -= 1
            if self._waiting:
                self._since = self._loop.time()

    def _look(self) -> None:
        now = self._loop.time()
        due = (self._since if self._waiting else now) + self._seconds
        if now < due:
            self._timer = self._loop.call_at(due, self._look)
        else:
            self._timeout.reschedule(now)
