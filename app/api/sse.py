"""Streams from ready-made bytes: server-sent events, or lines of JSON."""

import math
from collections.abc import AsyncGenerator, Callable

from sse_starlette import EventSourceResponse
from starlette.types import Message, Receive, Scope, Send

from app.api.disconnect import ClientGone
from app.api.stall import StallWatch
from app.core.models import Progress

SEND_TIMEOUT = 60.0
"""Seconds that a client may leave what was sent to it unread before it counts as gone."""

DONE = b"data: [DONE]\n\n"
"""The end of OpenAI's streams; nothing comes after it, no ping either."""


def _make_comment() -> bytes:
    return b": ping\n\n"


def encode_progress(progress: Progress) -> bytes:
    """A comment for whoever waits for a model; clients pass over it."""
    share = "" if progress.share is None else f" {progress.share:.0%}"
    return f": {progress.stage}{share}\n\n".encode()


class EventStreamResponse(EventSourceResponse):
    """Sends each chunk of `body` as it comes, and a ping (a comment, unless `make_ping` makes
    another) every `ping_interval` seconds.

    `close` is called once the last byte is sent or the client is gone (ClientGone), which it also
    is when it stops reading.
    """

    def __init__(
        self,
        body: AsyncGenerator[bytes, None],
        *,
        ping_interval: float,
        close: Callable[[], None],
        make_ping: Callable[[], bytes] = _make_comment,
        media_type: str = "text/event-stream",
    ) -> None:
        self._has_ended = False
        super().__init__(  # pyright: ignore[reportUnknownMemberType]  # a bare dict in its hints
            self._follow(body),
            headers={"cache-control": "no-cache"},
            media_type=media_type,
            sep="\n",
            ping=ping_interval,
            ping_message_factory=make_ping,  # pyright: ignore[reportArgumentType]  # bytes go through
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
            async with StallWatch(send, SEND_TIMEOUT) as watch:
                await super().__call__(scope, receive, watch.send)
        finally:
            await self._body.aclose()
            self._close()
        if self._has_left:
            raise ClientGone

    async def _send_with_timeout(self, send: Send, message: Message) -> None:
        """Without the timeout of its own that each send would get here: see StallWatch. A ping that
        was on its way when the end was sent comes too late."""
        if not self._has_ended or message["body"].endswith(DONE):
            await send(message)

    async def _follow(self, body: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async for chunk in body:
            self._has_ended = chunk.endswith(DONE)
            yield chunk
        self._is_whole = True

    async def _note_leaving(self, _message: Message) -> None:
        # Servers also say "disconnect" after the last byte of a whole answer.
        self._has_left = not self._is_whole
