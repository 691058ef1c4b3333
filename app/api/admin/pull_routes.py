"""Operators' routes for downloads: begun by one request, watched and cancelled by others."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.api.admin.encode import encode_pull
from app.api.admin.schemas import PullBody
from app.api.body import decode_body
from app.api.context import context_of
from app.api.schema import find_unknown, validate
from app.api.sse import EventStreamResponse
from app.services.pull_run import Watch
from app.services.pulls import PullService


@dataclass(frozen=True, slots=True)
class AdminPullRoutes:
    """A download that was begun here goes on whether anybody watches or not."""

    pulls: PullService
    max_json_depth: int
    ping_interval: float

    def routes(self) -> list[Route]:
        return [
            Route("/admin/registry", self.names, methods=["GET"]),
            Route("/admin/pulls", self.start, methods=["POST"]),
            Route("/admin/pulls", self.all, methods=["GET"]),
            Route("/admin/pulls/{id}", self.one, methods=["GET"]),
            Route("/admin/pulls/{id}", self.cancel, methods=["DELETE"]),
            Route("/admin/pulls/{id}/events", self.follow, methods=["GET"]),
        ]

    async def names(self, _request: Request) -> Response:
        """The short names, and what they stand for."""
        known = self.pulls.short_names()
        return _json({"models": [{"name": name, "source": known[name]} for name in known]})

    async def start(self, request: Request) -> Response:
        def decode(body: dict[str, Any]) -> PullBody:
            return validate(PullBody, body)

        wire = await decode_body(request, decode, max_depth=self.max_json_depth)
        context_of(request).ignored = tuple(sorted(find_unknown(wire)))
        job = await self.pulls.start(wire.model, is_forced=bool(wire.force))
        return _json(encode_pull(job), 202)

    async def all(self, _request: Request) -> Response:
        return _json({"pulls": [encode_pull(job) for job in self.pulls.all()]})

    async def one(self, request: Request) -> Response:
        return _json(encode_pull(self.pulls.get(_id_in(request))))

    async def cancel(self, request: Request) -> Response:
        return _json(encode_pull(await self.pulls.cancel(_id_in(request))))

    async def follow(self, request: Request) -> Response:
        """The object as it stands and after each change; the last one is done, failed or
        cancelled."""
        watch = self.pulls.watch(_id_in(request))
        return EventStreamResponse(
            _follow(watch), ping_interval=self.ping_interval, close=watch.close
        )


async def _follow(watch: Watch) -> AsyncGenerator[bytes, None]:
    async with aclosing(watch.states()) as states:
        async for job in states:
            yield b"data: " + orjson.dumps(encode_pull(job)) + b"\n\n"


def _id_in(request: Request) -> str:
    return str(request.path_params["id"])


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")
