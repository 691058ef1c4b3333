"""The ways to be an object or an array, when all that a JSON schema refers to is put together."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.chat.parsers.schema_nodes import (
    Node,
    Way,
    as_list,
    as_mapping,
    as_node,
    bounds_of,
    put_together,
)


@dataclass(frozen=True, slots=True)
class ObjectForm:
    """One way to be an object."""

    way: Way
    root: Node

    @property
    def names(self) -> tuple[str, ...]:
        """Of the members that are known, in their order."""
        named = [name for node in self.way for name in as_mapping(node.get("properties"))]
        return tuple(dict.fromkeys([*named, *self._required]))

    def requires(self, name: str) -> bool:
        return name in self._required

    @property
    def patterns(self) -> tuple[str, ...]:
        """Of the names of further members."""
        found = (as_mapping(node.get("patternProperties")) for node in self.way)
        return tuple(dict.fromkeys(pattern for node in found for pattern in node))

    def member(self, name: str) -> Node:
        """The schema of a member."""
        return put_together([part for node in self.way for part in _member(node, name)])

    def matching(self, pattern: str) -> Node:
        """The schema of members whose names one of `patterns` names."""
        found = (as_mapping(node.get("patternProperties")).get(pattern) for node in self.way)
        return put_together([as_node(part) for part in found if part is not None])

    @property
    def others(self) -> Node:
        """The schema of all further members; NOTHING where there may be none."""
        key = "additionalProperties"
        return put_together([as_node(node[key]) for node in self.way if key in node])

    @property
    def bounds(self) -> tuple[int, int | None]:
        """How many members there may be."""
        return bounds_of(self.way, "minProperties", "maxProperties")

    @property
    def _required(self) -> list[str]:
        names = (name for node in self.way for name in as_list(node.get("required", ())))
        return [name for name in names if isinstance(name, str)]


@dataclass(frozen=True, slots=True)
class ArrayForm:
    """One way to be an array."""

    way: Way
    root: Node

    @property
    def first_items(self) -> list[Node]:
        """The schemas of the items that have one of their own."""
        return [self._item(at) for at in range(max(len(_prefix(node)) for node in self.way))]

    @property
    def further_items(self) -> Node:
        """The schema of all others; NOTHING where there may be none."""
        return self._item(None)

    @property
    def all_items(self) -> list[Node]:
        return [*self.first_items, self.further_items]

    @property
    def bounds(self) -> tuple[int, int | None]:
        """How many items there may be."""
        return bounds_of(self.way, "minItems", "maxItems")

    def _item(self, at: int | None) -> Node:
        parts: list[Node] = []
        for node in self.way:
            prefix = _prefix(node)
            rest: Any = node.get("items", True)
            if isinstance(rest, list):  # as it was called before `prefixItems`
                rest = node.get("additionalItems", True)
            parts.append(as_node(rest if at is None or at >= len(prefix) else prefix[at]))
        return put_together([part for part in parts if part])


def _member(node: Node, name: str) -> Iterator[Node]:
    properties = as_mapping(node.get("properties"))
    patterns = as_mapping(node.get("patternProperties"))
    found = [part for pattern, part in patterns.items() if _matches(pattern, name)]
    if name in properties:
        found.append(properties[name])
    if not found and "additionalProperties" in node:
        found.append(node["additionalProperties"])
    yield from map(as_node, found)


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:
        return False


def _prefix(node: Node) -> list[Any]:
    items: Any = node.get("items")
    return as_list(items if isinstance(items, list) else node.get("prefixItems"))
