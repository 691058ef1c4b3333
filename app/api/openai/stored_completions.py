"""Chat completions that are kept: storing them, and the routes that show them."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.api.body import decode_body
from app.api.context import context_of
from app.api.openai.addresses import refuse_nul
from app.api.openai.conversations.schemas import MetadataBody
from app.api.openai.owners import owner_of
from app.api.openai.paging import encode_list, read_page
from app.api.openai.validate import validate
from app.api.schema import find_unknown
from app.core.errors import BadRequest, StoreUnavailable
from app.storage.completions import CompletionStore
from app.storage.records import Completion, Page

_KEY = "metadata["

_log = structlog.stdlib.get_logger("corral.storage")


@dataclass(frozen=True, slots=True)
class Keep:
    """That a completion is to be kept, with its request's `messages` as they came."""

    messages: tuple[dict[str, Any], ...]
    metadata: Mapping[str, str]


async def keep(store: CompletionStore, owner: str, wanted: Keep, body: bytes) -> None:
    """Keep an answer. Where that fails now, who waits for it gets it all the same."""
    answer = cast("dict[str, Any]", orjson.loads(body))
    try:
        await store.create(
            owner,
            Completion(
                id=answer["id"],
                created_at=time.time(),  # finer than what the answer says: lists are ordered by it
                model=answer["model"],
                metadata=wanted.metadata,
                messages=wanted.messages,
                body=answer,
            ),
        )
    except StoreUnavailable as error:
        _log.warning("a chat completion is not stored", id=answer["id"], reason=error.message)


@dataclass(frozen=True, slots=True)
class CompletionRoutes:
    completions: CompletionStore
    max_json_depth: int
    note_delete: Callable[[], None]

    def routes(self) -> list[Route]:
        one = "/v1/chat/completions/{id}"
        handlers = (
            ("/v1/chat/completions", "GET", self.list_all),
            (one, "GET", self.read),
            (one, "POST", self.change),
            (one, "DELETE", self.delete),
            (f"{one}/messages", "GET", self.list_messages),
        )
        return [
            Route(path, refuse_nul(handler), methods=[method]) for path, method, handler in handlers
        ]

    async def list_all(self, request: Request) -> Response:
        query = request.query_params
        metadata = {
            name.removeprefix(_KEY).removesuffix("]"): value
            for name, value in query.items()
            if name.startswith(_KEY)
        }
        if any('"' in key or "\\" in key for key in metadata):
            raise BadRequest("A key of 'metadata' holds a quote.", param="metadata")
        listed = await self.completions.all(
            owner_of(request), read_page(request, "asc"), query.get("model"), metadata
        )
        rows = [_encode(completion) for completion in listed.rows]
        return _json(encode_list(rows, has_more=listed.has_more))

    async def read(self, request: Request) -> Response:
        return _json(_encode(await self._find(request)))

    async def change(self, request: Request) -> Response:
        def decode(body: dict[str, Any]) -> MetadataBody:
            return validate(MetadataBody, body, {})

        wire = await decode_body(request, decode, max_depth=self.max_json_depth)
        context_of(request).ignored = tuple(sorted(find_unknown(wire)))
        changed = await self.completions.change(
            owner_of(request), request.path_params["id"], wire.metadata
        )
        return _json(_encode(changed))

    async def delete(self, request: Request) -> Response:
        identifier = request.path_params["id"]
        await self.completions.delete(owner_of(request), identifier)
        self.note_delete()
        return _json({"id": identifier, "object": "chat.completion.deleted", "deleted": True})

    async def list_messages(self, request: Request) -> Response:
        completion, page = await self._find(request), read_page(request, "asc")
        rows = [
            _encode_message(message, f"{completion.id}-{index}")
            for index, message in enumerate(completion.messages)
        ]
        shown, has_more = _cut(rows, page)
        return _json(encode_list(shown, has_more=has_more))

    async def _find(self, request: Request) -> Completion:
        return await self.completions.read(owner_of(request), request.path_params["id"])


def _encode(completion: Completion) -> dict[str, Any]:
    return {**completion.body, "metadata": completion.metadata}


def _encode_message(message: Mapping[str, Any], identifier: str) -> dict[str, Any]:
    content: Any = message.get("content")
    parts = cast("list[dict[str, Any]]", content) if isinstance(content, list) else None
    text: Any = "\n".join(_texts(parts)) if parts is not None else message.get("content")
    return {**message, "id": identifier, "content": text, "content_parts": parts}


def _texts(parts: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    return (str(part.get("text") or part.get("refusal") or "") for part in parts)


def _cut(rows: list[dict[str, Any]], page: Page) -> tuple[list[dict[str, Any]], bool]:
    if page.is_descending:
        rows = [*reversed(rows)]
    if page.after is not None:
        ids = [row["id"] for row in rows]
        if page.after not in ids:
            raise BadRequest(f"There is no message '{page.after[:80]}'.", param="after")
        rows = rows[ids.index(page.after) + 1 :]
    return rows[: page.limit], len(rows) > page.limit


def _json(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
