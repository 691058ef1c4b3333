"""Downloading models: Ollama's `/api/pull`, and RustLLM's `POST /api/models/{name}`."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.api.body import decode_body
from app.api.context import RequestContext, context_of
from app.api.disconnect import run_while_connected
from app.api.errors import plain_error_body
from app.api.ollama.encode import LINES_TYPE, encode_line
from app.api.ollama.encode_pulls import SUCCESS, PullLines
from app.api.ollama.model_routes import name_of
from app.api.ollama.schemas import DownloadBody, PullBody
from app.api.ollama.store_routes import name_in, succeed
from app.api.schema import Body, find_unknown, validate
from app.api.sse import EventStreamResponse
from app.services.pull_run import Watch
from app.services.pulls import PullService

B = TypeVar("B", bound=Body)


@dataclass(frozen=True, slots=True)
class OllamaPullRoutes:
    """A download goes on as long as somebody waits for it here."""

    pulls: PullService
    max_json_depth: int
    ping_interval: float

    def routes(self) -> list[Route]:
        return [
            Route("/api/pull", self.pull, methods=["POST"]),
            Route("/api/models/{name:path}", self.download, methods=["POST"]),
        ]

    async def pull(self, request: Request) -> Response:
        wire = await self._read(request, PullBody)
        context = context_of(request)
        context.model = name_of(wire)
        if wire.insecure:
            context.ignored = (*context.ignored, "insecure")
        watch = await self.pulls.follow(context.model)
        if wire.stream is False:
            await _wait(request, watch)
            return Response(orjson.dumps(SUCCESS), media_type="application/json")
        lines = PullLines()
        return EventStreamResponse(
            _follow(watch, lines, context),
            ping_interval=self.ping_interval,
            close=watch.close,
            make_ping=lambda: encode_line(lines.last),
            media_type=LINES_TYPE,
        )

    async def download(self, request: Request) -> Response:
        wire = await self._read(request, DownloadBody)
        name = context_of(request).model = name_in(request)
        await _wait(request, await self.pulls.follow(name, is_forced=bool(wire.force)))
        return succeed(f"Model {name} downloaded successfully")

    async def _read(self, request: Request, schema: type[B]) -> B:
        def decode(body: dict[str, Any]) -> B:
            return validate(schema, body)

        wire = await decode_body(
            request,
            decode,
            max_depth=self.max_json_depth,
            is_curl_taken=True,
            is_optional=schema is DownloadBody,
        )
        context_of(request).ignored = tuple(sorted(find_unknown(wire)))
        return wire


async def _wait(request: Request, watch: Watch) -> None:
    try:
        await run_while_connected(request, watch.wait())
    finally:
        watch.close()


async def _follow(
    watch: Watch, lines: PullLines, context: RequestContext
) -> AsyncGenerator[bytes, None]:
    """The lines of a download. What makes it fail is the last of them."""
    async with aclosing(watch.states()) as states:
        async for job in states:
            if new := b"".join(encode_line(line) for line in lines.read(job)):
                yield new
            if job.error is not None:
                context.error_code = job.error.code
                yield plain_error_body(job.error) + b"\n"
