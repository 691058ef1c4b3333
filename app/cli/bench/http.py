"""A small HTTP/1.1 client whose cost for one streamed token is a few microseconds.

It runs on the machine that it measures, so a library's tasks and buffers for each read would be
taken from the server. Bytes go straight from the transport through a parser in C to a callback.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from importlib.util import find_spec
from time import perf_counter
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httptools

Result = TypeVar("Result")
BodySeen = Callable[[float, bytes], None]
"""Takes arrival time (s) and one piece of the body of an answer with status 200."""


class NoAnswerError(Exception):
    """The server cannot be reached, or what it sends is not HTTP; the text says why."""


@dataclass(frozen=True, slots=True)
class Reply:
    """`body` is empty where a callback took the pieces."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Server:
    """An address such as `http://host:port`, and how to talk to it.

    Each request has its own connection, as from separate users: some servers close a kept-alive
    connection after a stream, and a request sent into that would fail through no fault of theirs.
    """

    url: str
    api_key: str | None = None
    timeout: float = 600.0
    """Limit of a whole request, s."""

    @property
    def root(self) -> "Server":
        """The same server beside its API, for health and metrics, which answer soon or never."""
        return Server(self.url.rstrip("/").removesuffix("/v1"), self.api_key, timeout=10)

    async def get(self, path: str) -> Reply:
        """Ask for a path below the address."""
        return await self._exchange("GET", path, b"", None)

    async def post(self, path: str, body: bytes, on_body: BodySeen | None = None) -> Reply:
        """Send JSON. Raises TimeoutError, NoAnswerError, and whatever `on_body` raises."""
        return await self._exchange("POST", path, body, on_body)

    async def _exchange(
        self, method: str, path: str, body: bytes, on_body: BodySeen | None
    ) -> Reply:
        parts = urlsplit(self.url)
        tls = parts.scheme == "https"
        host, port = parts.hostname or "", parts.port or (443 if tls else 80)
        head = self._head(method, parts.path.rstrip("/") + path, parts.netloc, len(body))
        exchange = _Exchange(on_body)
        transport: asyncio.Transport | None = None
        try:
            async with asyncio.timeout(self.timeout):
                loop = asyncio.get_running_loop()
                transport, _ = await loop.create_connection(
                    lambda: exchange, host, port, ssl=tls or None
                )
                transport.write(head + body)
                await exchange.ended
        except TimeoutError:
            raise
        except OSError as problem:  # TLS errors too
            raise NoAnswerError(f"cannot connect to {host}:{port}: {problem}") from problem
        finally:
            if transport is not None:
                transport.close()
        return exchange.reply()

    def _head(self, method: str, path: str, host: str, size: int) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
        if self.api_key:
            lines.append(f"Authorization: Bearer {self.api_key}")
        if method == "POST":
            lines += ["Content-Type: application/json", f"Content-Length: {size}"]
        return "\r\n".join([*lines, "", ""]).encode()


class _Exchange(asyncio.Protocol):
    """One request and its answer on one connection."""

    def __init__(self, on_body: BodySeen | None) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sink = on_body
        self._parser = httptools.HttpResponseParser(self)
        self._arrived = 0.0
        self._status = 0
        self._kept: list[bytes] = []

    def reply(self) -> Reply:
        if not self._status:
            raise NoAnswerError("the connection closed without an answer")
        return Reply(self._status, b"".join(self._kept))

    def data_received(self, data: bytes) -> None:
        self._arrived = perf_counter()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as problem:
            self._end(NoAnswerError(f"not HTTP: {problem}"))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._end(None)

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        if self._sink is None or self._status != 200:
            self._kept.append(body)
            return
        try:
            self._sink(self._arrived, body)
        except Exception as problem:
            self._end(problem)  # for who waits for the answer

    def on_message_complete(self) -> None:
        self._end(None)

    def _end(self, problem: Exception | None) -> None:
        if self.ended.done():
            return
        if problem is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(problem)


def run_quickly(work: Coroutine[Any, Any, Result]) -> Result:
    """`asyncio.run` on the fastest event loop that is installed."""
    if find_spec("uvloop") is None:  # there is none for Windows
        return asyncio.run(work)
    import uvloop  # noqa: PLC0415

    return uvloop.run(work)
