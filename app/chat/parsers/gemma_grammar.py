"""How values of a JSON schema are spelled in Gemma 4's notation, as a grammar."""

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from app.chat.lark import Lark, one_of, quote

Node = Mapping[str, Any]

_BARE_KEY = re.compile(r"[A-Za-z0-9_.$-]+")
_SCALARS = ("string", "number", "boolean", "null")
_MAX_DEPTH = 8  # of values, and of references in a row: deeper ones are text
_AND, _NOTHING = f" {quote(',')} ", '""'


class GemmaWriter:
    """`marker` stands around strings. The tools' schemas hold no more than their grammar can: what
    is not known here allows any value."""

    def __init__(self, lark: Lark, marker: str) -> None:
        self._lark = lark
        self._marker = marker
        self._mark = lark.text(marker)
        self._root: Node = {}

    def object(self, parameters: Node | None) -> str:
        """The arguments of one call, with their braces."""
        self._root = parameters or {}
        return self._object(self._root, _MAX_DEPTH)

    def _value(self, node: Node, depth: int) -> str:
        node = self._follow(node)
        if depth <= 0:
            return self._of_type("string", node, depth)
        if choices := node.get("anyOf") or node.get("oneOf"):
            return one_of(*(self._value(_mapping(choice), depth - 1) for choice in choices))
        if "enum" in node or "const" in node:
            return one_of(*map(self._constant, node.get("enum", [node.get("const")])))
        kinds: Any = node.get("type", _SCALARS)
        ways = (self._of_type(one, node, depth) for one in _listed(kinds))
        return self._lark.rule(one_of(*ways))

    def _of_type(self, kind: str, node: Node, depth: int) -> str:
        lark = self._lark
        if kind == "string":
            return f"{self._mark} {lark.raw(node, self._marker)}"
        if kind == "object":
            return self._object(node, depth)
        if kind == "array":
            return self._array(node, depth)
        return lark.json({**node, "type": kind})

    def _constant(self, value: Any) -> str:
        if isinstance(value, str):
            return f"{self._mark} {quote(value)} {self._mark}"
        if isinstance(value, list):
            items = map(self._constant, cast("list[Any]", value))
            return f"{quote('[')} {_AND.join(items) or _NOTHING} {quote(']')}"
        if isinstance(value, dict):
            members = cast("dict[str, Any]", value).items()
            written = (f"{self._key(key)} {self._constant(member)}" for key, member in members)
            return f"{quote('{')} {_AND.join(written) or _NOTHING} {quote('}')}"
        return quote(json.dumps(value))

    def _array(self, node: Node, depth: int) -> str:
        comma = quote(",")
        item = self._value(_mapping(node.get("items")), depth - 1)
        least, most = int(node.get("minItems", 0)), node.get("maxItems")
        if most == 0:
            return f"{quote('[')} {quote(']')}"
        more = f"{{{max(least - 1, 0)},{'' if most is None else int(most) - 1}}}"
        items = f"{item} ({comma} {item}){more}"
        return f"{quote('[')} {items if least else f'({items})?'} {quote(']')}"

    def _object(self, node: Node, depth: int) -> str:
        node = self._follow(node)
        properties = _mapping(node.get("properties"))
        if not properties and node.get("additionalProperties") is not False:
            anything = f"/[A-Za-z0-9_]+/ {quote(':')} {self._value({}, 1)}"
            members = f"({anything} ({quote(',')} {anything})*)?"
            return f"{quote('{')} {members} {quote('}')}"
        required: Any = node.get("required", ())
        written = [
            (f"{self._key(name)} {self._value(_mapping(schema), depth - 1)}", name in required)
            for name, schema in properties.items()
        ]
        return f"{quote('{')} {self._lark.sequence(written, quote(','))} {quote('}')}"

    def _key(self, name: str) -> str:
        if _BARE_KEY.fullmatch(name):
            return quote(f"{name}:")
        return f"{self._mark} {quote(name)} {self._mark} {quote(':')}"

    def _follow(self, node: Node) -> Node:
        """Through references into the whole schema, and the one part of an `allOf`."""
        for _ in range(_MAX_DEPTH):
            reference, parts = node.get("$ref"), node.get("allOf")
            if isinstance(reference, str) and reference.startswith("#"):
                found: Any = self._root
                for part in filter(None, reference[1:].split("/")):
                    found = _mapping(found).get(part.replace("~1", "/").replace("~0", "~"))
                node = _mapping(found)
            elif isinstance(parts, list) and len(cast("list[Any]", parts)) == 1:
                node = _mapping(parts[0])
            else:
                return node
        return {}


def _listed(kinds: Any) -> list[str]:
    return [kinds] if isinstance(kinds, str) else list(kinds)


def _mapping(value: Any) -> Node:
    return cast("Node", value) if isinstance(value, Mapping) else {}
