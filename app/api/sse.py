"""Server-sent events from ready-made bytes."""

import math
from collections.abc import AsyncGenerator, Callable

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Message, Receive, Scope, Send

from app.api.disconnect import ClientGone


class EventStreamResponse(EventSourceResponse):
    """Sends each chunk of `body` as it comes, and a comment every `ping_interval` seconds.

    `close` is called once the last byte is sent or the client is gone (ClientGone).
    """

    def __init__(
        self, body: AsyncGenerator[bytes, None], *, ping_interval: float, close: Callable[[], None]
    ) -> None:
        super().__init__(  # pyright: ignore[reportUnknownMemberType]  # a bare dict in its hints
            self._follow(body),
            headers={"cache-control": "no-cache"},
            sep="\n",
            ping=ping_interval,
            ping_message_factory=_make_ping,
            client_close_handler_callable=self._note_leaving,
            # The drain lets streams finish and ends the rest with an error frame; a server that is
            # about to exit must not cut them meanwhile.
            shutdown_grace_period=math.inf,
        )
        del self.headers["connection"]  # whether it is kept alive is the server's to say
        self._body = body
        self._close = close
        self._is_whole = False
        self._has_left = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._body.aclose()
            self._close()
        if self._has_left:
            raise ClientGone

    async def _follow(self, body: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async for chunk in body:
            yield chunk
        self._is_whole = True

    async def _note_leaving(self, _message: Message) -> None:
        # Servers also say "disconnect" after the last byte of a whole answer.
        self._has_left = not self._is_whole


def _make_ping() -> ServerSentEvent:
    return ServerSentEvent(comment="ping", sep="\n")
