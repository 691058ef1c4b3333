"""The routes under `/v1/responses`."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.api.body import decode_body
from app.api.context import RequestContext, context_of
from app.api.disconnect import ClientGone, run_while_connected
from app.api.generating import LOAD_GRACE, TELL_SECONDS
from app.api.openai.addresses import refuse_nul
from app.api.openai.owners import owner_of
from app.api.openai.paging import encode_list, read_page
from app.api.openai.responses.decode import Decoded, decode_response
from app.api.openai.responses.encode import encode_events, encode_response
from app.api.openai.responses.items import encode_item
from app.api.openai.responses.schemas import ENCRYPTED
from app.api.sse import EventStreamResponse, encode_progress
from app.core.errors import BadRequest
from app.services.responses.run import Numbered, Run
from app.services.responses.service import ResponseService

_FLAGS = {"true": True, "1": True, "false": False, "0": False}
_MAX_DIGITS = 12


@dataclass(frozen=True, slots=True)
class ResponseRoutes:
    responses: ResponseService
    max_json_depth: int
    ping_interval: float
    note_delete: Callable[[], None]

    def routes(self) -> list[Route]:
        one = "/v1/responses/{id}"
        return [
            Route("/v1/responses", self.create, methods=["POST"]),
            Route("/v1/responses/input_tokens", self.count, methods=["POST"]),
            Route(one, refuse_nul(self.read), methods=["GET"]),
            Route(one, refuse_nul(self.delete), methods=["DELETE"]),
            Route(f"{one}/cancel", refuse_nul(self.cancel), methods=["POST"]),
            Route(f"{one}/input_items", refuse_nul(self.list_inputs), methods=["GET"]),
        ]

    async def create(self, request: Request) -> Response:
        context = context_of(request)
        decoded = await self._decode(request)
        owner = owner_of(request)
        # a stream tells how far the load is; who waits for a whole answer hears nothing before it
        grace = LOAD_GRACE if decoded.is_stream else None
        making = self.responses.create(owner, decoded.ask, grace=grace)
        # what runs in the background is there even when its caller has left
        is_free = decoded.ask.is_background
        run = await making if is_free else await run_while_connected(request, making)
        if run.generation is not None:
            context.record = run.generation.record
        if decoded.is_stream:
            return self._stream(run.follow(), context, run=run, has_seal=decoded.has_seal)
        if not is_free:
            try:
                await run_while_connected(request, run.wait())
            except ClientGone:
                run.stop("cancelled")
                raise
            run.check()
        return _json(encode_response(run.response, run.output, has_seal=decoded.has_seal))

    async def count(self, request: Request) -> Response:
        decoded = await self._decode(request)
        counting = self.responses.count(owner_of(request), decoded.ask)
        tokens = await run_while_connected(request, counting)
        return _json({"object": "response.input_tokens", "input_tokens": tokens})

    async def read(self, request: Request) -> Response:
        query, identifier = request.query_params, request.path_params["id"]
        has_seal = ENCRYPTED in (*query.getlist("include"), *query.getlist("include[]"))
        after = query.get("starting_after")
        if not _read_flag(request, "stream"):
            if after is not None:
                raise BadRequest("'starting_after' needs 'stream'.", param="starting_after")
            found, output = await self.responses.read(owner_of(request), identifier)
            return _json(encode_response(found, output, has_seal=has_seal))
        start = None if after is None else _read_number(after)
        events = await self.responses.follow(owner_of(request), identifier, start)
        return self._stream(events, context_of(request), run=None, has_seal=has_seal)

    async def delete(self, request: Request) -> Response:
        identifier = request.path_params["id"]
        await self.responses.delete(owner_of(request), identifier)
        self.note_delete()
        return _json({"id": identifier, "object": "response.deleted", "deleted": True})

    async def cancel(self, request: Request) -> Response:
        found, output = await self.responses.cancel(owner_of(request), request.path_params["id"])
        return _json(encode_response(found, output))

    async def list_inputs(self, request: Request) -> Response:
        listed = await self.responses.inputs(
            owner_of(request), request.path_params["id"], read_page(request)
        )
        rows = [encode_item(stored.item) for stored in listed.rows]
        return _json(encode_list(rows, has_more=listed.has_more))

    async def _decode(self, request: Request) -> Decoded:
        context = context_of(request)
        decoded = await decode_body(
            request,
            lambda body: decode_response(body, context.caller),
            max_depth=self.max_json_depth,
        )
        context.ignored = decoded.ignored
        return decoded

    def _stream(
        self,
        events: AsyncGenerator[list[Numbered]],
        context: RequestContext,
        *,
        run: Run | None,
        has_seal: bool,
    ) -> Response:
        """`run`: the one that ends when its reader leaves, unless it runs in the background."""

        async def encode() -> AsyncGenerator[bytes, None]:
            async for batch in events:
                if data := encode_events(batch, has_seal=has_seal):
                    yield data
                while run is not None and self.responses.is_loading(run):
                    yield encode_progress(self.responses.progress(run))
                    await run.wait_begun(TELL_SECONDS)

        def close() -> None:
            if run is None or run.response.is_background:
                return
            run.stop("cancelled")
            if run.generation is not None:
                context.record = run.generation.record
            if run.response.error is not None:
                context.error_code = run.response.error.code

        return EventStreamResponse(encode(), ping_interval=self.ping_interval, close=close)


def _read_flag(request: Request, name: str) -> bool:
    given = request.query_params.get(name, "false").lower()
    if given not in _FLAGS:
        raise BadRequest(f"'{name}' must be true or false.", param=name)
    return _FLAGS[given]


def _read_number(given: str) -> int:
    if not (given.isascii() and given.isdecimal() and len(given) < _MAX_DIGITS):
        raise BadRequest("'starting_after' must be the number of an event.", param="starting_after")
    return int(given)


def _json(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
