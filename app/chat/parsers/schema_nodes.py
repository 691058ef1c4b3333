"""The nodes of a JSON schema: what one says itself, and what it leads to."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from types import NoneType
from typing import Any, cast
from urllib.parse import unquote

Node = Mapping[str, Any]
Way = tuple[Node, ...]
"""Nodes that must all hold, without what they refer to or choose from."""

NOTHING: Node = {"enum": []}  # what `false` stands for
# "fraction" is a number that is no integer
KINDS = frozenset({"null", "boolean", "integer", "fraction", "string", "array", "object"})
CHOICES = ("anyOf", "oneOf")
_LEADS = frozenset({*CHOICES, "allOf", "$ref"})

_TYPES = (
    (NoneType, "null"),
    (bool, "boolean"),  # before the numbers, for Python's is one
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (Mapping, "object"),
    (Sequence, "array"),
)
_NUMBER = frozenset({"integer", "fraction"})
_MAX_WAYS = 64
_MAX_STEPS = 2000
_MAX_DEPTH = 100  # of choices and references in a row


class KindFinder:
    """Finds what a node allows; with `is_open` without what is only listed."""

    def __init__(self, root: Node, *, is_open: bool = False) -> None:
        self._root = root
        self._is_open = is_open
        self._steps = 0

    def find(self, node: Node, above: frozenset[int] = frozenset()) -> frozenset[str]:
        if node.keys().isdisjoint(_LEADS):
            is_listed = self._is_open and not node.keys().isdisjoint(("const", "enum"))
            return frozenset() if is_listed else own_kinds(node)
        self._steps += 1
        if id(node) in above:  # references in a circle lead nowhere
            return frozenset()
        if self._steps > _MAX_STEPS or len(above) > _MAX_DEPTH:
            return KINDS
        if self._is_open and ("const" in node or "enum" in node):
            return frozenset()
        above |= {id(node)}
        found = own_kinds(node)
        for group in _groups(node, self._root):
            found &= frozenset[str]().union(*(self.find(part, above) for part in group))
        return found


class WayFinder:
    """Finds the ways in which a node can be satisfied; no more than _MAX_WAYS of them. `unfolds`:
    listed objects and arrays are told as schemas of their members."""

    def __init__(self, root: Node, *, unfolds: bool = False) -> None:
        self._root = root
        self._unfolds = unfolds
        self._steps = 0

    def find(self, node: Node, above: frozenset[int] = frozenset()) -> list[Way]:
        if node.keys().isdisjoint(_LEADS if not self._unfolds else _LEADS | {"const", "enum"}):
            return [(node,)]
        self._steps += 1
        if id(node) in above or self._steps > _MAX_STEPS or len(above) > _MAX_DEPTH:
            return []
        above |= {id(node)}
        ways: list[Way] = [(node,)]
        groups = list(_groups(node, self._root))
        if self._unfolds and ("const" in node or "enum" in node):
            values: Any = [node["const"]] if "const" in node else node["enum"]
            groups.append([_unfold(value) for value in as_list(values)])
        for group in groups:
            options = [way for part in group for way in self.find(part, above)]
            joined = (_join(way, option) for way in ways for option in options)
            ways = [way for way, _ in zip(joined, range(_MAX_WAYS), strict=False)]
        return ways


def type_of(value: Any) -> str:
    """The JSON type of a parsed value; every whole number is an integer."""
    if isinstance(value, float) and value.is_integer():
        return "integer"
    return next(name for kind, name in _TYPES if isinstance(value, kind))


def find_reference(reference: str, root: Node) -> Any:
    """What a reference within a schema (`#/$defs/a`) points to; None where that is nothing."""
    found: Any = root
    for step in reference.split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(found, list):
            items = cast("list[Any]", found)
            found = items[int(name)] if name.isdecimal() and int(name) < len(items) else None
        else:
            found = as_mapping(found).get(name)
    return found


def as_node(value: Any) -> Node:
    """Of a schema, which may be `true` or `false`."""
    return NOTHING if value is False else as_mapping(value)


def own_kinds(node: Node) -> frozenset[str]:
    match node:
        case {"type": str(name)}:
            own = as_kinds({name})
        case {"type": [*names]}:
            own = as_kinds({str(name) for name in names})
        case _:
            own = KINDS
    values: Any = [node["const"]] if "const" in node else node.get("enum")
    if isinstance(values, list):
        return own & as_kinds({kind_of(value) for value in as_list(values)})
    if "type" in node or any(key in node for key in (*CHOICES, "allOf", "$ref")):
        return own
    if "properties" in node:
        return frozenset({"object"})
    return frozenset({"array"}) if "items" in node else own


def admits_value(node: Node, value: Any) -> bool:
    if kind_of(value) not in own_kinds(node):
        return False
    values: Any = [node["const"]] if "const" in node else node.get("enum")
    return values is None or identity(value) in map(identity, as_list(values))


def kind_of(value: Any) -> str:
    found = type_of(value)
    return "fraction" if found == "number" else found


def as_kinds(types: set[str]) -> frozenset[str]:
    return frozenset(types - {"number"} | (_NUMBER if "number" in types else set[str]()))


def as_types(kinds: frozenset[str]) -> frozenset[str]:
    if "fraction" not in kinds:
        return kinds
    return kinds - _NUMBER | {"number"}


def identity(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True, default=str)


def _unfold(value: Any) -> Node:
    """The schema of one value, where it has members or items."""
    if isinstance(value, Mapping):
        members = cast("Node", value)
        return {
            "type": "object",
            "properties": {name: {"const": member} for name, member in members.items()},
            "required": list(members),
            "additionalProperties": False,
        }
    if isinstance(value, list):
        items = [{"const": item} for item in cast("list[Any]", value)]
        return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}
    return {"type": type_of(value)}


def _groups(node: Node, root: Node) -> Iterator[list[Node]]:
    """Groups of nodes; one of each must hold as well."""
    for part in [*list_references(node, root), *list_parts(node, "allOf")]:
        yield [part]
    for key in CHOICES:
        if parts := list_parts(node, key):
            yield parts


def list_references(node: Node, root: Node) -> list[Node]:
    reference = node.get("$ref")
    if reference is None:
        return []
    if not isinstance(reference, str) or not reference.startswith("#"):
        return [{}]
    return [as_node(find_reference(reference, root))]


def list_parts(node: Node, key: str) -> list[Node]:
    return [as_node(part) for part in as_list(node.get(key))]


def put_together(parts: list[Node]) -> Node:
    parts = drop_equal(parts)
    if NOTHING in parts:
        return NOTHING
    if len(parts) > 1:
        return {"allOf": parts}
    return parts[0] if parts else {}


def _join(way: Way, more: Way) -> Way:
    return reduce(lambda made, node: made if node in made else (*made, node), more, way)


def drop_equal(parts: list[Node]) -> list[Node]:
    return list({identity(part): part for part in parts}.values()) if len(parts) > 1 else parts


def as_list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def as_mapping(value: Any) -> Node:
    return cast("Node", value) if isinstance(value, Mapping) else {}


def bounds_of(nodes: Sequence[Node], least: str, most: str) -> tuple[int, int | None]:
    """The narrowest bounds that some nodes set."""
    floors = [number for node in nodes if (number := _whole(node.get(least))) is not None]
    tops = [number for node in nodes if (number := _whole(node.get(most))) is not None]
    return max(floors, default=0), min(tops, default=None)


def _whole(value: Any) -> int | None:
    is_number = isinstance(value, int | float) and math.isfinite(value)
    return int(value) if is_number else None
