"""Items as columns, and back. PostgreSQL keeps no NUL characters, which models may write."""

from collections.abc import Mapping
from typing import Any, cast

from app.core.items import (
    CallItem,
    ContentPart,
    Item,
    ItemStatus,
    MessageItem,
    ResultItem,
    ThoughtItem,
)
from app.core.messages import Role

_NUL, _SHOWN = "\0", "\ufffd"


def clean(text: str) -> str:
    return text.replace(_NUL, _SHOWN)


def kind_of(item: Item) -> str:
    match item:
        case MessageItem():
            return "message"
        case ThoughtItem():
            return "thought"
        case CallItem():
            return "call"
        case ResultItem():
            return "result"


def encode_content(item: Item) -> dict[str, Any]:
    match item:
        case MessageItem():
            parts = [[clean(part.text), part.is_refusal] for part in item.parts]
            return {"role": item.role, "parts": parts}
        case ThoughtItem():
            return {"text": clean(item.text), "is_summary": item.is_summary}
        case CallItem():
            return {
                "call_id": item.call_id,
                "name": item.name,
                "arguments": clean(item.arguments),
                "namespace": item.namespace,
                "is_custom": item.is_custom,
            }
        case ResultItem():
            return {
                "call_id": item.call_id,
                "output": clean(item.output),
                "is_custom": item.is_custom,
            }


def decode_item(identifier: str, kind: str, status: str, content: Mapping[str, Any]) -> Item:
    state = cast("ItemStatus", status)
    match kind:
        case "message":
            parts = tuple(ContentPart(text, refused) for text, refused in content["parts"])
            return MessageItem(identifier, cast("Role", content["role"]), parts, state)
        case "thought":
            return ThoughtItem(identifier, content["text"], content["is_summary"], state)
        case "call":
            return CallItem(identifier, status=state, **content)
        case _:
            return ResultItem(identifier, status=state, **content)
