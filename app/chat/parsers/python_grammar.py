"""The grammar of calls in Python. Values are spelled as in JSON: the reader takes both."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from app.chat.lark import Lark, one_of, quote
from app.core.messages import Tool

# What says more of an object than the members that it may have.
_BEYOND = frozenset(
    {"$ref", "allOf", "anyOf", "oneOf", "if", "not", "enum", "const", "patternProperties"}
    | {"propertyNames", "dependentRequired", "dependentSchemas", "minProperties", "maxProperties"}
)
_SHARED = ("$defs", "definitions", "x-guidance")
_WORDS = {"boolean": ("True", "False"), "null": ("None",)}


def write_list(lark: Lark, tools: Sequence[Tool], *, many: bool) -> str:
    """A list of calls after its bracket; empty where no tool's arguments can be written so."""
    made = [call for tool in tools if (call := _write_call(lark, tool))]
    if not made:
        return ""
    call = lark.rule(one_of(*made))
    more = f"({_comma(lark)} {call})*" if many else ""
    return f"{lark.space} {call} {more} {lark.space} {quote(']')}"


def _write_call(lark: Lark, tool: Tool) -> str:
    schema = tool.parameters or {}
    properties: Any = schema.get("properties")
    if not isinstance(properties, Mapping) or _BEYOND & schema.keys():
        return ""
    required: Any = schema.get("required", ())
    shared = {key: schema[key] for key in _SHARED if key in schema}
    named = cast("Mapping[str, Any]", properties).items()
    members = [
        (f"{quote(f'{name}=')} {_write_value(lark, node, shared)}", name in required)
        for name, node in named
        if _is_name(name)
    ]
    if any(not _is_name(name) for name in required):
        return ""
    return f"{quote(f'{tool.name}(')} {lark.sequence(members, _comma(lark))} {quote(')')}"


def _write_value(lark: Lark, node: Any, shared: Mapping[str, Any]) -> str:
    if not isinstance(node, Mapping):
        return lark.json({})
    schema = cast("Mapping[str, Any]", node)
    words = _WORDS.get(str(schema.get("type")), ()) if schema.keys().isdisjoint(_BEYOND) else ()
    return one_of(*map(quote, words), lark.json({**shared, **schema}))


def _comma(lark: Lark) -> str:
    return lark.rule(f"{lark.space} {quote(',')} {lark.space}")


def _is_name(name: str) -> bool:
    return not set(name) & set("=,()[]{}\"'") and not any(char.isspace() for char in name)
