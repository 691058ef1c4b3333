"""Writing parameters whose values are bare text: what `typed_text` reads."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from app.chat.lark import Lark, one_of, quote
from app.chat.parsers.schema import Node, Schema
from app.chat.parsers.typed_text import STRING
from app.core.messages import Tool

TYPES = frozenset({"null", "boolean", "number", "array", "object", "string"})
# How JSON of a type begins.
_STARTS = {"array": r"\[", "object": r"\{", "number": "0-9-", "integer": "0-9-"}
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
    types = schema.types
    if types == STRING:
        return lark.raw(schema.whole, close, pad=pad)
    if not types:
        return lark.until(close)
    ways = [write_json(lark, schema, types - STRING, close)]
    if "string" in types:
        # a string that begins as other values of the schema do would be read as one of them
        starts = "".join(sorted({_STARTS[name] for name in types if name in _STARTS}))
        other: Node = {"pattern": rf"^[^\s{starts}]"} if starts else {}
        nodes = schema.narrowed(STRING)
        ways += [lark.raw({**other, **node}, close, pad=pad) for node in nodes]
    return one_of(*ways)


def write_json(lark: Lark, schema: Schema, types: frozenset[str], close: str) -> str:
    """A value of one of `types` as JSON, up to and with `close`."""
    nodes = schema.narrowed(types)
    node: Node = nodes[0] if len(nodes) == 1 else {"anyOf": nodes}
    return f"{lark.json({**schema.definitions, **node})} {lark.space} {lark.text(close)}"


def write_typed(lark: Lark, schema: Schema, name: str, close: str) -> str:
    """A value of the type `name`, where the format tells it."""
    if name != "string":
        return write_json(lark, schema, frozenset({name}), close)
    nodes = schema.narrowed(STRING) if schema.types != STRING else [schema.whole]
    return one_of(*(lark.raw(node, close) for node in nodes))
