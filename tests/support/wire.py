"""HTTP/1.1 over a bare socket: sends exactly the bytes it is told, shows the writes it gets."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from tests.support.server import HOST, WAIT_SECONDS

JSON_TYPE = {"content-type": "application/json"}
_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The OpenAI error object, its form checked."""
        assert self.headers["content-type"].startswith("application/json"), self
        body = self.json()
        assert set(body) == {"error"}, body
        error: dict[str, Any] = body["error"]
        assert {"message", "type", "param", "code"} <= set(error), error
        assert isinstance(error["message"], str), error
        assert error["message"], error
        assert isinstance(error["type"], str), error
        assert error["param"] is None or isinstance(error["param"], str), error
        assert error["code"] is None or isinstance(error["code"], str), error
        return error


class Connection:
    """One connection, which may carry several requests."""

    all_open: ClassVar[set["Connection"]] = set()
    """For a fixture that closes what a failed test left open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.all_open.add(self)

    @classmethod
    async def open(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection(HOST, port, limit=_LIMIT))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """What a client does that walks away."""
        self.all_open.discard(self)
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def send(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        lines = [f"{method} {target} HTTP/1.1", f"host: {HOST}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body is not None:
            lines.append(f"content-length: {len(body)}")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        self._writer.write(head + (body or b""))
        await self._writer.drain()

    async def head(self) -> Answer:
        """Status and headers; the body is left to `writes`."""
        async with asyncio.timeout(WAIT_SECONDS):
            head = await self._reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        pairs = (line.partition(":") for line in lines)
        return Answer(
            int(first.split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs}
        )

    async def writes(self, head: Answer) -> AsyncIterator[bytes]:
        """The pieces of the body as the server wrote them."""
        if "content-length" in head.headers:
            if length := int(head.headers["content-length"]):
                yield await self._read(length)
            return
        assert head.headers.get("transfer-encoding") == "chunked", head
        while True:
            async with asyncio.timeout(WAIT_SECONDS):
                size = int(await self._reader.readuntil(b"\r\n"), 16)
            piece = await self._read(size + 2)
            assert piece.endswith(b"\r\n")
            if not size:
                return
            yield piece[:-2]

    async def ask(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """A whole exchange."""
        await self.send(method, target, body, headers)
        return await self.answer()

    async def write(self, data: bytes) -> None:
        """More of a request, as it is."""
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self) -> Answer:
        head = await self.head()
        whole = b"".join([piece async for piece in self.writes(head)])
        return Answer(head.status, head.headers, whole)

    async def _read(self, size: int) -> bytes:
        async with asyncio.timeout(WAIT_SECONDS):
            return await self._reader.readexactly(size)


async def ask(
    port: int,
    method: str,
    target: str,
    payload: Any = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One request on a connection of its own; `payload` is sent as JSON."""
    body = None if payload is None else json.dumps(payload).encode()
    async with await Connection.open(port) as connection:
        return await connection.ask(method, target, body, {**JSON_TYPE, **(headers or {})})


class Events:
    """The server-sent events of one response, and every write they came in.

    Iterate `chunks` for the JSON of the data frames. [DONE] must come last, unless the stream is
    one that must not end well.
    """

    def __init__(self, connection: Connection, head: Answer, *, ends_well: bool = True) -> None:
        self.connection = connection
        self.head = head
        self._ends_well = ends_well
        self.written: list[bytes] = []
        self.comments: list[bytes] = []
        self.chunks = self._read_chunks(self._read_frames(connection.writes(head)))

    async def first(self) -> dict[str, Any]:
        return await anext(self.chunks)

    async def rest(self) -> list[dict[str, Any]]:
        return [chunk async for chunk in self.chunks]

    async def close(self) -> None:
        await self.connection.close()

    async def _read_frames(self, writes: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Each frame without the blank line that ends it."""
        waiting = b""
        async for piece in writes:
            self.written.append(piece)
            waiting += piece
            while b"\n\n" in waiting:
                frame, _, waiting = waiting.partition(b"\n\n")
                yield frame
        assert not waiting, f"the stream ended inside a frame: {waiting!r}"

    async def _read_chunks(self, frames: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
        is_done = False
        async for frame in frames:
            assert not is_done, f"after [DONE]: {frame!r}"
            if frame.startswith(b":"):
                self.comments.append(frame)
                continue
            assert frame.startswith(b"data: "), frame
            is_done = frame == b"data: [DONE]"
            if not is_done:
                yield json.loads(frame.removeprefix(b"data: "))
        assert is_done == self._ends_well, f"[DONE]: {is_done}"


async def open_stream(
    port: int,
    target: str,
    payload: Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
    *,
    ends_well: bool = True,
) -> Events:
    """Starts a streamed request; its status must be 200."""
    connection = await Connection.open(port)
    body = json.dumps({**payload, "stream": True}).encode()
    await connection.send("POST", target, body, {**JSON_TYPE, **(headers or {})})
    head = await connection.head()
    if head.status != 200:
        text = b"".join([piece async for piece in connection.writes(head)])
        await connection.close()
        raise AssertionError(f"{head.status}: {text!r}")
    return Events(connection, head, ends_well=ends_well)
