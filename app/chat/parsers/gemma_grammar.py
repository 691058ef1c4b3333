"""How values of a JSON schema are spelled in Gemma 4's notation, as a grammar."""

import json
import re
from collections.abc import Iterator

from app.chat.lark import Lark, Unwritable, one_of, quote
from app.chat.parsers.schema import Schema
from app.chat.parsers.schema_forms import ObjectForm
from app.chat.parsers.schema_nodes import NOTHING, Node
from app.chat.parsers.string_grammar import write_strings
from app.chat.parsers.text_grammar import (
    TYPES,
    Member,
    check_listed,
    write_forms,
    write_members,
    write_narrowed,
)

_BARE_KEY = re.compile(r"[A-Za-z0-9_.$-]+")
_CONTAINERS = frozenset({"array", "object"})


class GemmaWriter:
    """`marker` stands around strings."""

    def __init__(self, lark: Lark, marker: str) -> None:
        self._lark = lark
        self._marker = marker
        self._mark = lark.text(marker)

    def arguments(self, parameters: Node) -> str:
        """Of one call, with their braces."""
        schema = Schema(parameters, parameters)
        return one_of(self._objects(schema), self._lark.check(parameters))

    def _value(self, schema: Schema) -> str:
        def write() -> str:
            check_listed(schema, lambda text: self._marker not in text)
            ways = list(self._ways(schema, schema.types or TYPES))
            if not ways:
                raise Unwritable("none of its values can be written")
            return one_of(*ways)

        node, root = schema.essence, None
        if node is None:
            node, root = schema.node, id(schema.root)
        return self._lark.shared(json.dumps([node, root, schema.is_lenient]), write)

    def _ways(self, schema: Schema, types: frozenset[str]) -> Iterator[str]:
        if strings := write_strings(schema) if "string" in types else "":
            yield f"{self._mark} {self._lark.raw(strings, self._marker)}"
        for kind in sorted(types - _CONTAINERS - {"string"}):
            yield write_narrowed(self._lark, schema, frozenset({kind}))
        if "object" in types:
            yield self._objects(schema)
        if "array" in types:
            yield from self._arrays(schema)

    def _arrays(self, schema: Schema) -> Iterator[str]:
        def write(node: Node) -> str:
            return self._value(Schema(node, schema.root))

        for form in schema.arrays:
            first = list(map(write, form.first_items))
            further = None if form.further_items == NOTHING else write(form.further_items)
            items = self._lark.items(first, further, form.bounds, quote(","))
            yield f"{quote('[')} {items} {quote(']')}"

    def _objects(self, schema: Schema) -> str:
        def write(form: ObjectForm) -> str:
            members = write_members(self._lark, schema, form, self._member, quote(","))
            return f"{quote('{')} {members} {quote('}')}"

        return write_forms(schema, write)

    def _member(self, member: Member) -> str:
        return f"{self._key(member)} {self._value(member.schema)}"

    def _key(self, member: Member) -> str:
        name = member.name
        if name is None:
            return f"{member.key} {quote(':')}"
        if _BARE_KEY.fullmatch(name):
            return quote(f"{name}:")
        if self._marker in name:
            raise Unwritable(f"'{self._marker}' cannot stand in a name")
        return f"{self._mark} {quote(name)} {self._mark} {quote(':')}"
