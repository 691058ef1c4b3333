"""Responses as objects, and their events as frames of a stream."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import orjson

from app.api.openai.encode.common import encode_logprobs
from app.api.openai.responses.items import encode_item, encode_part, encode_thought
from app.core.items import CallItem, Item, MessageItem, ThoughtItem
from app.core.usage import Usage
from app.services.responses.events import (
    Added,
    Announced,
    Ended,
    Filled,
    ItemClosed,
    ItemOpened,
    PartClosed,
    PartOpened,
    ResponseEvent,
)
from app.services.responses.run import Numbered
from app.storage.records import Response

OBJECT = "response"


def encode_response(
    response: Response, output: Sequence[Item], *, has_seal: bool = False
) -> dict[str, Any]:
    error = response.error
    return {
        "id": response.id,
        "object": OBJECT,
        "created_at": int(response.created_at),
        "completed_at": int(response.completed_at) if response.completed_at else None,
        "status": response.status,
        "background": response.is_background,
        "error": {"code": error.code, "message": error.message} if error else None,
        "incomplete_details": {"reason": response.reason} if response.reason else None,
        "model": response.model,
        "conversation": {"id": response.conversation_id} if response.conversation_id else None,
        "previous_response_id": response.previous_id,
        "store": response.is_stored,
        "output": [encode_item(item, has_seal=has_seal) for item in output],
        "usage": encode_usage(response.usage) if response.usage else None,
        "timings": asdict(response.timings) if response.usage else None,
        **response.echo,
    }


def encode_usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }


def encode_events(events: Iterable[Numbered], *, has_seal: bool) -> bytes:
    return b"".join(_encode_event(number, event, has_seal) for number, event in events)


def _encode_event(number: int, event: ResponseEvent, has_seal: bool) -> bytes:
    kind, fields = _describe(event, has_seal)
    body = orjson.dumps({"type": kind, "sequence_number": number, **fields})
    return b"event: " + kind.encode() + b"\ndata: " + body + b"\n\n"


def _describe(event: ResponseEvent, has_seal: bool) -> tuple[str, dict[str, Any]]:
    match event:
        case Announced():
            whole = encode_response(event.response, ())
            return f"response.{event.stage}", {"response": whole}
        case Ended():
            whole = encode_response(event.response, event.output, has_seal=has_seal)
            return f"response.{event.response.status}", {"response": whole}
        case ItemOpened() | ItemClosed():
            stage = "added" if isinstance(event, ItemOpened) else "done"
            item = _encode_opened(event.item) if stage == "added" else None
            item = item or encode_item(event.item, has_seal=has_seal)
            return f"response.output_item.{stage}", {"output_index": event.index, "item": item}
        case PartOpened() | PartClosed():
            stage = "added" if isinstance(event, PartOpened) else "done"
            place = {"item_id": event.item.id, "output_index": event.index, **_index(event.item)}
            name = "reasoning_summary_part" if _is_summary(event.item) else "content_part"
            return f"response.{name}.{stage}", {**place, "part": encode_part(event.item)}
        case Added():
            return _describe_piece(event)
        case Filled():
            return _describe_whole(event)


def _describe_piece(event: Added) -> tuple[str, dict[str, Any]]:
    place = {"item_id": event.item.id, "output_index": event.index, **_index(event.item)}
    told: dict[str, Any] = {"delta": event.text}
    if isinstance(event.item, MessageItem):
        told["logprobs"] = encode_logprobs(event.logprobs)
    return f"response.{_name(event.item)}.delta", {**place, **told}


def _describe_whole(event: Filled) -> tuple[str, dict[str, Any]]:
    item = event.item
    place = {"item_id": item.id, "output_index": event.index, **_index(item)}
    match item:
        case MessageItem():
            told: dict[str, Any] = {
                "text": item.text,
                "logprobs": encode_logprobs(item.logprobs or ()),
            }
        case ThoughtItem():
            told = {"text": item.text}
        case CallItem():
            field = "input" if item.is_custom else "arguments"
            told = {field: item.arguments, "name": item.name}
        case _:
            told = {}
    return f"response.{_name(item)}.done", {**place, **told}


def _encode_opened(item: Item) -> dict[str, Any] | None:
    """Its parts come with events of their own."""
    match item:
        case MessageItem():
            return encode_item(item) | {"content": []}
        case ThoughtItem():
            return encode_item(item) | encode_thought(item, has_seal=False)
        case _:
            return None


def _index(item: Item) -> dict[str, int]:
    """A response's messages and thoughts have one part."""
    if isinstance(item, CallItem):
        return {}
    return {"summary_index" if _is_summary(item) else "content_index": 0}


def _name(item: Item) -> str:
    match item:
        case ThoughtItem():
            return "reasoning_summary_text" if item.is_summary else "reasoning_text"
        case CallItem():
            return "custom_tool_call_input" if item.is_custom else "function_call_arguments"
        case _:
            return "output_text"


def _is_summary(item: Item) -> bool:
    return isinstance(item, ThoughtItem) and item.is_summary
