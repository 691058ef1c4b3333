"""Writing parameters whose values are bare text: what `typed_text` reads."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from app.chat.lark import Lark, quote
from app.chat.parsers.schema import Schema
from app.chat.parsers.typed_text import STRING
from app.core.messages import Tool

_ANY_KEY = "/[A-Za-z_][A-Za-z0-9_]{0,40}/"


def write_parameters(tool: Tool, write: Callable[[str, Schema], str]) -> str:
    """The parameters of a tool in the order of its schema, some of which may be left out; `write`
    spells one of them, given how its name is spelled."""
    node = tool.parameters or {}
    properties = cast("Mapping[str, Any]", node.get("properties", {}))
    if not properties and node.get("additionalProperties", True) is not False:
        return f"({write(_ANY_KEY, Schema())})*"
    required: Any = node.get("required", ())
    schema = Schema(node, node)
    return " ".join(
        f"({write(quote(name), schema.property(name))}){'' if name in required else '?'}"
        for name in properties
    )


def write_text(lark: Lark, schema: Schema, close: str, pad: str = "") -> str:
    """A value up to and with `close`: a string as it is, any other value as JSON. `pad` may stand
    before `close` and does not belong to the value."""
    if schema.types == STRING:
        return lark.raw(schema.whole, close, pad=pad)
    if "string" in schema.types or not schema.types:
        return lark.until(close)
    value = lark.json({**schema.definitions, **schema.node})
    return f"{value} {lark.space} {lark.text(close)}"
