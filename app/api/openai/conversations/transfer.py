"""Conversations as lines of JSON, to be kept elsewhere and read again."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import Any, cast

import orjson

from app.api.body import parse_json
from app.api.openai.conversations.encode import encode_conversation, encode_stored
from app.api.openai.conversations.schemas import ConversationBody
from app.api.openai.responses.items import decode_input
from app.api.openai.validate import validate
from app.core.errors import BadRequest, StoredNotFound
from app.core.ids import make_id
from app.core.items import Item
from app.services.responses.ask import Reference
from app.storage.conversations import ConversationStore
from app.storage.records import Conversation, StoredItem

LINES_TYPE = "application/x-ndjson"
_MAX_LINES = 10_000

Imported = tuple[Conversation, list[StoredItem]]


async def export_lines(
    store: ConversationStore, owner: str, identifier: str | None
) -> AsyncGenerator[bytes, None]:
    """One conversation a line, oldest change first; one of them where it is named. Of what is
    changed or deleted meanwhile none aborts the others or has them left out."""
    if identifier is not None:
        yield encode_line(*await store.whole(owner, identifier))
        return
    for known in await store.identifiers(owner):
        with suppress(StoredNotFound):
            yield encode_line(*await store.whole(owner, known))


def encode_line(conversation: Conversation, items: Sequence[StoredItem]) -> bytes:
    told = {
        "conversation": encode_conversation(conversation),
        "items": [encode_stored(stored) for stored in items],
    }
    return orjson.dumps(told) + b"\n"


def decode_lines(body: bytes, *, max_depth: int) -> list[Imported]:
    """Every line, with new identifiers. Raises BadRequest, which names the line."""
    lines = [line for line in body.splitlines() if line.strip()]
    if not lines:
        raise BadRequest("There is no conversation in the body: one stands on each line.")
    if len(lines) > _MAX_LINES:
        raise BadRequest(f"At most {_MAX_LINES} conversations are taken at once.")
    made: list[Imported] = []
    for number, line in enumerate(lines, start=1):
        try:
            made.append(_decode_line(parse_json(line, max_depth=max_depth)))
        except BadRequest as error:
            raise BadRequest(f"Line {number}: {error.message}", param=error.param) from None
    return made


def _decode_line(line: dict[str, Any]) -> Imported:
    head: Any = line.get("conversation")
    rows: Any = line.get("items")
    if not isinstance(head, dict) or not isinstance(rows, list):
        raise BadRequest("'conversation' and 'items' are needed.", param="conversation")
    told, given = cast("dict[str, Any]", head), cast("list[Any]", rows)
    validate(ConversationBody, {"metadata": told.get("metadata"), "items": given}, {})
    decoded, _ = decode_input(given, "items")
    items: list[StoredItem] = []
    new: dict[str, str] = {}
    for index, (item, row) in enumerate(zip(decoded, given, strict=True)):
        if isinstance(item, Reference):
            raise BadRequest(f"'items[{index}]' is no item.", param=f"items[{index}]")
        items.append(_place(item, row, new, index))
        new[str(row.get("id") or item.id)] = item.id
    created = _read_time(told, "created_at")
    conversation = Conversation(
        id=make_id("conv_"),
        created_at=created,
        updated_at=max(created, _read_time(told, "updated_at")),
        metadata=told.get("metadata") or {},
        head=_find(told.get("head"), new, "conversation.head"),
        model=_read_text(told, "model"),
    )
    return conversation, items


def _place(item: Item, row: dict[str, Any], new: dict[str, str], index: int) -> StoredItem:
    model = _read_text(row, "model")
    return StoredItem(
        item=item,
        parent_id=_find(row.get("parent_id"), new, f"items[{index}].parent_id"),
        created_at=_read_time(row, "created_at"),
        is_output=model is not None,
        model=model,
    )


def _find(given: Any, new: dict[str, str], param: str) -> str | None:
    if given is None:
        return None
    if not isinstance(given, str) or given not in new:
        raise BadRequest(f"'{param}' is no item of a line before it.", param=param)
    return new[given]


def _read_time(given: dict[str, Any], name: str) -> float:
    value: Any = given.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**40:
        raise BadRequest(f"'{name}' must be a time in Unix seconds.", param=name)
    return float(value)


def _read_text(given: dict[str, Any], name: str) -> str | None:
    value: Any = given.get(name)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"'{name}' must be a string.", param=name)
    return value
