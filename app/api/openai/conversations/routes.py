"""The routes under `/v1/conversations`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from app.api.body import INLINE_BYTES, decode_body
from app.api.context import context_of
from app.api.openai.addresses import refuse_nul
from app.api.openai.conversations.encode import encode_conversation, encode_stored
from app.api.openai.conversations.schemas import ChangeBody, ConversationBody, ItemsBody
from app.api.openai.conversations.transfer import LINES_TYPE, decode_lines, export_lines
from app.api.openai.owners import owner_of
from app.api.openai.paging import encode_list, read_page
from app.api.openai.responses.items import decode_input
from app.api.openai.validate import validate
from app.api.schema import Body, find_unknown
from app.core.errors import BadRequest
from app.core.items import Item
from app.services.responses.ask import Reference
from app.services.threads import run_in_thread
from app.storage.conversations import ConversationStore

_MAX_QUERY = 512

B = TypeVar("B", bound=Body)


@dataclass(frozen=True, slots=True)
class ConversationRoutes:
    conversations: ConversationStore
    max_json_depth: int
    note_delete: Callable[[], None]

    def routes(self) -> list[Route]:
        one = "/v1/conversations/{id}"
        handlers = (
            ("/v1/conversations", "GET", self.list_all),
            ("/v1/conversations", "POST", self.create),
            ("/v1/conversations/export", "GET", self.export),
            ("/v1/conversations/import", "POST", self.take),
            (one, "GET", self.read),
            (one, "POST", self.change),
            (one, "DELETE", self.delete),
            (f"{one}/items", "GET", self.list_items),
            (f"{one}/items", "POST", self.add_items),
            (f"{one}/items/{{item}}", "GET", self.read_item),
            (f"{one}/items/{{item}}", "DELETE", self.delete_item),
        )
        return [
            Route(path, refuse_nul(handler), methods=[method]) for path, method, handler in handlers
        ]

    async def list_all(self, request: Request) -> Response:
        query = request.query_params.get("query")
        if query is not None and len(query) > _MAX_QUERY:
            raise BadRequest(f"'query' has at most {_MAX_QUERY} characters.", param="query")
        listed = await self.conversations.all(
            owner_of(request), read_page(request), query if query and query.strip() else None
        )
        rows = [encode_conversation(row) for row in listed.rows]
        return _json(encode_list(rows, has_more=listed.has_more))

    async def create(self, request: Request) -> Response:
        wire, items = await self._read(request, ConversationBody)
        made = await self.conversations.create(owner_of(request), wire.metadata or {}, items)
        return _json(encode_conversation(made))

    async def read(self, request: Request) -> Response:
        found = await self.conversations.read(owner_of(request), request.path_params["id"])
        return _json(encode_conversation(found))

    async def change(self, request: Request) -> Response:
        wire, _ = await self._read(request, ChangeBody)
        changed = await self.conversations.change(
            owner_of(request), request.path_params["id"], metadata=wire.metadata, head=wire.head
        )
        return _json(encode_conversation(changed))

    async def delete(self, request: Request) -> Response:
        identifier = request.path_params["id"]
        await self.conversations.delete(owner_of(request), identifier)
        self.note_delete()
        return _json({"id": identifier, "object": "conversation.deleted", "deleted": True})

    async def list_items(self, request: Request) -> Response:
        branches = request.query_params.get("branches", "head")
        if branches not in {"head", "all"}:
            raise BadRequest("'branches' must be 'head' or 'all'.", param="branches")
        listed = await self.conversations.items(
            owner_of(request),
            request.path_params["id"],
            read_page(request),
            has_branches=branches == "all",
        )
        rows = [encode_stored(stored) for stored in listed.rows]
        return _json(encode_list(rows, has_more=listed.has_more))

    async def add_items(self, request: Request) -> Response:
        wire, items = await self._read(request, ItemsBody)
        stored = await self.conversations.add(
            owner_of(request), request.path_params["id"], items, wire.after
        )
        return _json(encode_list([encode_stored(row) for row in stored], has_more=False))

    async def read_item(self, request: Request) -> Response:
        path = request.path_params
        found = await self.conversations.item(owner_of(request), path["id"], path["item"])
        return _json(encode_stored(found))

    async def delete_item(self, request: Request) -> Response:
        path = request.path_params
        left = await self.conversations.remove_item(owner_of(request), path["id"], path["item"])
        self.note_delete()
        return _json(encode_conversation(left))

    async def export(self, request: Request) -> Response:
        owner, identifier = owner_of(request), request.query_params.get("id")
        if identifier is None:
            self.conversations.check()
        else:
            await self.conversations.read(owner, identifier)
        headers = {"content-disposition": 'attachment; filename="conversations.jsonl"'}
        lines = export_lines(self.conversations, owner, identifier)
        return StreamingResponse(lines, headers=headers, media_type=LINES_TYPE)

    async def take(self, request: Request) -> Response:
        """All or nothing of what cannot be read; what can is stored one after the other."""
        body, depth = await request.body(), self.max_json_depth
        if len(body) <= INLINE_BYTES:
            imported = decode_lines(body, max_depth=depth)
        else:
            imported = await run_in_thread(lambda: decode_lines(body, max_depth=depth))
        owner = owner_of(request)
        made = [await self.conversations.insert(owner, *line) for line in imported]
        return _json(encode_list([encode_conversation(row) for row in made], has_more=False))

    async def _read(self, request: Request, schema: type[B]) -> tuple[B, list[Item]]:
        """The body, and the items in it. What nobody knows of it is noted."""

        def decode(body: dict[str, Any]) -> tuple[B, list[Item], set[str]]:
            wire = validate(schema, body, {})
            decoded, unknown = decode_input(getattr(wire, "items", None), "items")
            items = [item for item in decoded if not isinstance(item, Reference)]
            if len(items) < len(decoded):
                raise BadRequest("'items': references cannot be stored.", param="items")
            return wire, items, unknown | find_unknown(wire)

        wire, items, unknown = await decode_body(request, decode, max_depth=self.max_json_depth)
        context_of(request).ignored = tuple(sorted(unknown))
        return wire, items


def _json(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
