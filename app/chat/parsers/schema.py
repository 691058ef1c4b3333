"""What a JSON schema says about values that arrive as text: their types, and where they lie."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, cast

Node = Mapping[str, Any]

_TYPES = (
    (NoneType, "null"),
    (bool, "boolean"),  # before the numbers, for Python's is one
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (Mapping, "object"),
    (Sequence, "array"),
)


@dataclass(frozen=True, slots=True)
class Schema:
    """A part of a schema. `root` is the whole, which its references point into.

    What is not known, or is no schema, allows everything: no reader fails because of it.
    """

    node: Node = field(default_factory=dict[str, Any])
    root: Node = field(default_factory=dict[str, Any])

    @property
    def types(self) -> frozenset[str]:
        """The JSON types that are allowed; empty where all are, or none is known."""
        allowed: set[str] = set()
        for node in self._nodes():
            types = _own_types(node)
            if types is None and any(_allows_all(choice) for choice in _choices(node)):
                return frozenset()
            allowed |= types or set()
        return frozenset(allowed)

    @property
    def whole(self) -> Node:
        """With all that it refers to or that must hold as well; empty where there is a choice."""
        nodes = list(self._nodes())
        if any(_choices(node) for node in nodes):
            return {}
        return {key: value for node in reversed(nodes) for key, value in node.items()}

    @property
    def definitions(self) -> Node:
        """What references lead to, also from a part that stands alone."""
        return {key: self.root[key] for key in ("$defs", "definitions") if key in self.root}

    def narrowed(self, types: frozenset[str]) -> list[Node]:
        """The alternatives that allow some of `types`, and no longer any other."""
        left: list[Node] = []
        waiting, seen = [self.node], set[int]()
        while waiting:
            node = waiting.pop(0)
            own = _own_types(node)
            choices = [] if own else [*_choices(node), *_references(node, self.root)]
            allowed = sorted(types if own is None else own & types)
            if not choices and allowed:
                left.append({**node, "type": allowed[0] if len(allowed) == 1 else allowed})
            waiting += [choice for choice in choices if id(choice) not in seen]
            seen |= set(map(id, choices))
        return left

    @property
    def items(self) -> "Schema":
        """What the items of an array must be."""
        return self._first("items")

    @property
    def property_names(self) -> tuple[str, ...]:
        nodes = (_mapping(node.get("properties")) for node in self._nodes())
        return tuple(dict.fromkeys(name for node in nodes for name in node))

    def property(self, name: str) -> "Schema":
        """What the member `name` of an object must be."""
        for node in self._nodes():
            found: Any = _mapping(node.get("properties")).get(name)
            if isinstance(found, Mapping):
                return Schema(cast("Node", found), self.root)
        return self._first("additionalProperties")

    def _first(self, key: str) -> "Schema":
        found: Any = next((node[key] for node in self._nodes() if key in node), None)
        return Schema(_mapping(found), self.root)

    def _nodes(self) -> Iterator[Node]:
        """The node, and all that it refers to or is put together of; each once."""
        waiting, seen = [self.node], set[int]()
        while waiting:
            node = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            yield node
            waiting += [*_choices(node), *_parts(node, "allOf"), *_references(node, self.root)]


def type_of(value: Any) -> str:
    """The JSON type of a parsed value; every whole number is an integer."""
    if isinstance(value, float) and value.is_integer():
        return "integer"
    return next(name for kind, name in _TYPES if isinstance(value, kind))


def _own_types(node: Node) -> set[str] | None:
    match node:
        case {"type": str(name)}:
            return {name}
        case {"type": [_, *_] as names}:
            return {str(name) for name in names}
        case {"const": value}:
            return {type_of(value)}
        case {"enum": [_, *_] as values}:
            return {type_of(value) for value in values}
        case {"properties": _}:
            return {"object"}
        case _:
            return {"array"} if "items" in node else None


def _allows_all(node: Node) -> bool:
    refers = "$ref" in node or _choices(node) or _parts(node, "allOf")
    return not refers and _own_types(node) is None


def _choices(node: Node) -> list[Node]:
    return _parts(node, "anyOf") + _parts(node, "oneOf")


def _parts(node: Node, key: str) -> list[Node]:
    found: Any = node.get(key)
    is_list = isinstance(found, Sequence) and not isinstance(found, str)
    return [_mapping(part) for part in cast("Sequence[Any]", found)] if is_list else []


def _references(node: Node, root: Node) -> list[Node]:
    """What a reference within the schema (`#/$defs/a`) points to."""
    if "$ref" not in node:
        return []
    found: Any = root
    reference = node["$ref"]
    if not isinstance(reference, str) or not reference.startswith("#"):
        return [{}]
    for step in reference.split("/")[1:]:
        found = _mapping(found).get(step.replace("~1", "/").replace("~0", "~"))
    return [_mapping(found)]


def _mapping(value: Any) -> Node:
    return cast("Node", value) if isinstance(value, Mapping) else {}
