"""Server-sent events from ready-made bytes.

Written for this service: what one engine step brought leaves in one write, nothing hooks into the
server's shutdown (a drain lets streams finish), and a failure on the way is told in the stream.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.api.disconnect import ClientGone, wait_disconnect

PING = b": ping\n\n"
HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}


class EventStreamResponse(Response):
    """Sends each chunk of `body` as it comes, and a comment after `ping_interval` silent seconds.

    `close` is called once the last byte is sent or the client is gone.
    """

    def __init__(
        self, body: AsyncGenerator[bytes, None], *, ping_interval: float, close: Callable[[], None]
    ) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._body = body
        self._ping_interval = ping_interval
        self._close = close
        self._last = 0.0
        self._is_over = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        tasks = [
            asyncio.ensure_future(self._send(send)),
            asyncio.ensure_future(wait_disconnect(receive)),
            asyncio.ensure_future(self._ping(send)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not tasks[0].done():
                raise ClientGone
            tasks[0].result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._body.aclose()
            self._close()

    async def _send(self, send: Send) -> None:
        clock = asyncio.get_running_loop().time
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        self._last = clock()  # silence counts from the head: the first token may take long
        async for chunk in self._body:
            self._last = clock()
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        self._is_over = True
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _ping(self, send: Send) -> None:
        """A ping is one write of its own, so it never lands inside a frame."""
        clock = asyncio.get_running_loop().time
        while not self._is_over:
            silence = clock() - self._last
            if self._last and silence >= self._ping_interval:
                self._last = clock()
                await send({"type": "http.response.body", "body": PING, "more_body": True})
                silence = 0.0
            await asyncio.sleep(self._ping_interval - min(silence, self._ping_interval / 2))
        await asyncio.Event().wait()
