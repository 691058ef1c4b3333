"""What a JSON schema says about values that arrive as text: their types, and where they lie."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from app.chat.parsers.schema_forms import ArrayForm, ObjectForm
from app.chat.parsers.schema_nodes import (
    CHOICES,
    KINDS,
    NOTHING,
    KindFinder,
    Node,
    Way,
    WayFinder,
    admits_value,
    as_list,
    as_mapping,
    as_types,
    drop_equal,
    find_reference,
    identity,
    list_parts,
    list_references,
    own_kinds,
)

_OPTIONS = "x-guidance"  # of llguidance
_DEFINITIONS = frozenset({"$defs", "definitions"})
_AS_THEY_ARE = frozenset({"const", "enum", "default", "examples"}) | _DEFINITIONS
_MAPS = frozenset({"properties", "patternProperties", "dependentSchemas"})
_ANNOTATIONS = _DEFINITIONS | {
    *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"),
    *("$comment", "$schema", "$id", "$anchor", _OPTIONS),
}


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
        kinds = KindFinder(self.root).find(self.node)
        return frozenset() if kinds == KINDS else as_types(kinds)

    @property
    def open_types(self) -> frozenset[str]:
        """The JSON types of which not only some values are listed."""
        return as_types(KindFinder(self.root, is_open=True).find(self.node))

    @property
    def is_free(self) -> bool:
        """It says nothing."""
        return self.node.keys() <= _ANNOTATIONS

    @property
    def essence(self) -> Node | None:
        """The node without what only describes it; None where it refers to others."""
        if '"$ref"' in json.dumps(self.node):
            return None
        return {key: value for key, value in self.node.items() if key not in _ANNOTATIONS}

    @property
    def is_lenient(self) -> bool:
        """What cannot be enforced is not."""
        options = as_mapping(self.root.get(_OPTIONS))
        return bool(options.get("lenient"))

    @property
    def constants(self) -> list[Any]:
        """The values that are listed, if they are, as far as types and lists tell."""
        found: dict[str, Any] = {}
        for node in self._nodes():
            values: Any = [node["const"]] if "const" in node else node.get("enum", ())
            found |= {identity(value): value for value in as_list(values)}
        return [value for value in found.values() if self.admits(value)]

    def admits(self, value: Any) -> bool:
        """Whether types and lists of values allow it; nothing else is looked at."""
        ways = WayFinder(self.root).find(self.node)
        return any(all(admits_value(node, value) for node in way) for way in ways)

    @property
    def property_names(self) -> tuple[str, ...]:
        nodes = (as_mapping(node.get("properties")) for node in self._nodes())
        return tuple(dict.fromkeys(name for node in nodes for name in node))

    @property
    def items(self) -> "Schema":
        """What the items of an array may be."""
        return self._any_of([item for form in self.arrays for item in form.all_items])

    @property
    def objects(self) -> list["ObjectForm"]:
        """The ways to be an object."""
        return [ObjectForm(way, self.root) for way in self._ways("object")]

    @property
    def arrays(self) -> list["ArrayForm"]:
        """The ways to be an array."""
        return [ArrayForm(way, self.root) for way in self._ways("array")]

    def property(self, name: str) -> "Schema":
        """What the member `name` of an object may be."""
        return self._any_of([form.member(name) for form in self.objects])

    def _ways(self, kind: str) -> list[Way]:
        ways = WayFinder(self.root, unfolds=True).find(self.node)
        return [way for way in ways if all(kind in own_kinds(node) for node in way)]

    def _any_of(self, parts: list[Node]) -> "Schema":
        parts = [part for part in drop_equal(parts) if part != NOTHING]
        whole: Node = {"anyOf": parts} if parts else {}
        return Schema(parts[0] if len(parts) == 1 else whole, self.root)

    def _nodes(self) -> Iterator[Node]:
        """The node, and all that it refers to or is put together of; each once."""
        waiting, seen = [self.node], set[int]()
        while waiting:
            node = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            yield node
            choices = [part for key in CHOICES for part in list_parts(node, key)]
            waiting += [*choices, *list_parts(node, "allOf"), *list_references(node, self.root)]


def stand_alone(schema: Schema) -> Node:
    """The node with all that it refers to, and how it is to be read, so that it can stand without
    its root."""
    names: dict[str, str] = {}

    def copy(value: Any, *, is_map: bool = False) -> Any:
        if isinstance(value, list):
            return [copy(one) for one in cast("list[Any]", value)]
        if not isinstance(value, Mapping):
            return value
        made: dict[str, Any] = {}
        for key, part in cast("Node", value).items():
            if not is_map and key == "$ref" and isinstance(part, str) and part.startswith("#"):
                made[key] = f"#/$defs/{names.setdefault(part, str(len(names)))}"
            elif is_map or key not in _AS_THEY_ARE:
                made[key] = copy(part, is_map=not is_map and key in _MAPS)
            elif key not in _DEFINITIONS:
                made[key] = part
        return made

    whole = copy(schema.node)
    definitions: dict[str, Any] = {}
    while len(definitions) < len(names):
        reference = list(names)[len(definitions)]
        found = find_reference(reference, schema.root)
        definitions[names[reference]] = copy({} if found is None else found)
    shared = {_OPTIONS: schema.root[_OPTIONS]} if _OPTIONS in schema.root else {}
    return {**whole, **({"$defs": definitions} if definitions else {}), **shared}
