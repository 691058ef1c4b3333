"""Items: from the wire, and back."""

import base64
import binascii
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from app.api.openai.encode.common import encode_logprobs
from app.api.openai.responses.item_schemas import (
    SCHEMAS,
    AnyItem,
    CustomCall,
    CustomCallOutput,
    FunctionCall,
    FunctionCallOutput,
    InputMessage,
    Parts,
    ReasoningInput,
)
from app.api.schema import describe, find_unknown, validate
from app.core.errors import BadRequest
from app.core.ids import make_id
from app.core.items import (
    PREFIXES,
    CallItem,
    ContentPart,
    Item,
    ItemStatus,
    MessageItem,
    ResultItem,
    ThoughtItem,
)
from app.services.responses.ask import Reference

_SEAL = "corral-1:"
_MAX_THOUGHTS = 16 * 1024**2


@dataclass(slots=True)
class _Room:
    """Bytes that may still be unsealed in one request: a few sealed ones can hold very many."""

    left: int = _MAX_THOUGHTS


def decode_input(
    given: str | Sequence[Any] | None, param: str = "input"
) -> tuple[tuple[Item | Reference, ...], set[str]]:
    """The items, and the fields that nobody knows. Raises BadRequest with the field's path."""
    if given is None:
        return (), set()
    if isinstance(given, str):
        return (MessageItem(make_id("msg_"), "user", (ContentPart(given),)),), set()
    items: list[Item | Reference] = []
    unknown: set[str] = set()
    room = _Room()
    for index, value in enumerate(given):
        wire = _validate(value, f"{param}[{index}]")
        unknown |= {f"{param}.{name}" for name in find_unknown(wire)}
        items.append(_decode(wire, f"{param}[{index}]", room))
    return tuple(items), unknown


def encode_item(item: Item, *, has_seal: bool = False) -> dict[str, Any]:
    """`has_seal`: a thought in a form that clients who keep nothing send back."""
    head = {"id": item.id, "type": type_of(item), "status": item.status}
    match item:
        case MessageItem():
            is_answer = item.role == "assistant"
            parts = [_encode_part(part, is_answer=is_answer) for part in item.parts]
            if item.logprobs is not None and parts:
                parts[0]["logprobs"] = encode_logprobs(item.logprobs)
            return {**head, "role": item.role, "content": parts}
        case ThoughtItem():
            return {**head, **encode_thought(item, has_seal=has_seal)}
        case CallItem():
            told = {"input" if item.is_custom else "arguments": item.arguments}
            space = {} if item.namespace is None else {"namespace": item.namespace}
            return {**head, "call_id": item.call_id, "name": item.name, **space, **told}
        case ResultItem():
            return {**head, "call_id": item.call_id, "output": item.output}


def type_of(item: Item) -> str:
    match item:
        case MessageItem():
            return "message"
        case ThoughtItem():
            return "reasoning"
        case CallItem():
            return "custom_tool_call" if item.is_custom else "function_call"
        case ResultItem():
            return "custom_tool_call_output" if item.is_custom else "function_call_output"


def encode_part(item: Item) -> dict[str, Any]:
    """The one part of an item that is written now."""
    match item:
        case MessageItem():
            part = _encode_part(item.parts[0], is_answer=True)
            if item.logprobs:
                part["logprobs"] = encode_logprobs(item.logprobs)
            return part
        case ThoughtItem():
            kind = "summary_text" if item.is_summary else "reasoning_text"
            return {"type": kind, "text": item.text}
        case _:
            return {}


def encode_thought(item: ThoughtItem, *, has_seal: bool) -> dict[str, Any]:
    parts = [encode_part(item)] if item.text or item.status != "in_progress" else []
    sealed = {"encrypted_content": _seal(item.text)} if has_seal and item.text else {}
    return {
        "summary": parts if item.is_summary else [],
        "content": [] if item.is_summary else parts,
        **sealed,
    }


def _encode_part(part: ContentPart, *, is_answer: bool) -> dict[str, Any]:
    if part.is_refusal:
        return {"type": "refusal", "refusal": part.text}
    if is_answer:
        return {"type": "output_text", "text": part.text, "annotations": [], "logprobs": []}
    return {"type": "input_text", "text": part.text}


def _validate(value: Any, param: str) -> AnyItem:
    if not isinstance(value, dict):
        raise BadRequest(f"'{param}': an item is an object, got {describe(value)}.", param=param)
    given = cast("dict[str, Any]", value)
    kind = given.get("type") or ("message" if "role" in given else "item_reference")
    schema = SCHEMAS.get(kind) if isinstance(kind, str) else None
    if schema is None:
        raise BadRequest(
            f"'{param}': items of type '{str(kind)[:40]}' are not taken.", param=f"{param}.type"
        )
    try:
        wire = validate(schema, given)
    except BadRequest as error:
        path = f"{param}.{error.param}" if error.param else param
        message = error.message.replace(f"'{error.param}'", f"'{path}'", 1)
        raise BadRequest(message, param=path) from None
    if kind == "item_reference" and wire.id is None:
        raise BadRequest(f"'{param}.id' is required.", param=f"{param}.id")
    return wire


def _decode(wire: AnyItem, param: str, room: _Room) -> Item | Reference:
    """Whatever its status was, what a client sends is whole, unless it says it is not."""
    status: ItemStatus = "incomplete" if wire.status == "incomplete" else "completed"
    match wire:
        case InputMessage():
            parts = tuple(
                ContentPart(part.words or "", part.type == "refusal") for part in wire.content
            )
            return MessageItem(_id(MessageItem), wire.role, parts, status)
        case FunctionCall():
            return CallItem(
                _id(CallItem),
                wire.call_id,
                wire.name,
                wire.arguments or "{}",
                wire.namespace,
                status=status,
            )
        case CustomCall():
            return CallItem(
                _id(CallItem),
                wire.call_id,
                wire.name,
                wire.input,
                wire.namespace,
                is_custom=True,
                status=status,
            )
        case FunctionCallOutput() | CustomCallOutput():
            is_custom = isinstance(wire, CustomCallOutput)
            return ResultItem(_id(ResultItem), wire.call_id, _join(wire.output), is_custom, status)
        case ReasoningInput():
            return _decode_thought(wire, status, param, room)
        case _:
            return Reference(wire.id or "")


def _decode_thought(
    wire: ReasoningInput, status: ItemStatus, param: str, room: _Room
) -> ThoughtItem:
    """The thought itself, else what was shown of it, else what is sealed."""
    text = _join(wire.content) or _join(wire.summary)
    if not text and wire.encrypted_content:
        text = _unseal(wire.encrypted_content, f"{param}.encrypted_content", room)
    is_summary = not wire.content and bool(wire.summary)
    return ThoughtItem(_id(ThoughtItem), text, is_summary, status)


def _join(parts: Parts | None) -> str:
    return "\n".join(part.words or "" for part in parts or ())


def _id(kind: type[Item]) -> str:
    return make_id(PREFIXES[kind])


def _seal(text: str) -> str:
    """Not a secret, only small: whoever may read the answer may read the thought."""
    return _SEAL + base64.b64encode(zlib.compress(text.encode(errors="replace"))).decode()


def _unseal(sealed: str, param: str, room: _Room) -> str:
    """Nothing where another service has sealed it. Raises BadRequest where there is no room."""
    if not sealed.startswith(_SEAL):
        return ""
    try:
        packed = base64.b64decode(sealed.removeprefix(_SEAL), validate=True)
        thought = zlib.decompressobj().decompress(packed, room.left + 1)
    except (binascii.Error, zlib.error):
        return ""
    room.left -= len(thought)
    if room.left < 0:
        size = _MAX_THOUGHTS // 1024**2
        raise BadRequest(f"'{param}': the sealed thoughts hold more than {size} MiB.", param=param)
    try:
        return thought.decode()
    except UnicodeDecodeError:
        return ""
