"""Tool calls whose arguments are nested elements: `<a>1</a>`, and `<item>` for those of an array.

Whether an element is text, an object or an array, its schema tells, and what stands inside.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from app.chat.lark import NEVER, Lark, Unwritable, escape, one_of
from app.chat.lark import quote as literal
from app.chat.parsers.json_text import MAX_DEPTH, read_value
from app.chat.parsers.key_text import check_names, take_name
from app.chat.parsers.markers import Markers
from app.chat.parsers.scanner import Malformed, Scanner, Steps
from app.chat.parsers.schema import Schema
from app.chat.parsers.schema_forms import ObjectForm
from app.chat.parsers.schema_nodes import NOTHING, Node
from app.chat.parsers.text_grammar import (
    TYPES,
    Member,
    Place,
    write_forms,
    write_members,
    write_narrowed,
    write_text,
)
from app.chat.parsers.toolbox import Toolbox
from app.chat.parsers.typed_text import STRING, TypedText, quote, read_typed
from app.core.messages import Tool

_NAME_END = '">'
_NAME = re.compile(r'[^<>"/\n]+')
_ITEM = "item"
_CONTAINERS = frozenset({"array", "object"})


@dataclass(frozen=True, slots=True)
class NestedXml:
    """`mark` stands before every tag."""

    mark: str

    @property
    def openers(self) -> Markers:
        return Markers(self.mark)

    @property
    def markers(self) -> tuple[str, ...]:
        return (self.mark, "<tool_call>", "</tool_call>")

    def read(self, scan: Scanner, _opener: str, toolbox: Toolbox, /) -> Steps[None]:
        """The calls up to and with the closing tag. Raises Malformed."""
        invoke = f'{self.mark}<invoke name="'
        yield from scan.take("<tool_call>")
        yield from scan.skip_space()
        yield from scan.take(invoke)
        while True:
            name = yield from scan.read_word(_NAME)
            yield from scan.take(_NAME_END)
            scan.start_call(name)
            yield from self._read_arguments(scan, toolbox.parameters_of(name))
            scan.end_call()
            scan.hold()
            yield from scan.skip_space()
            if not (yield from scan.try_take(invoke)):
                break
        yield from scan.take_close(f"{self.mark}</tool_call>")

    def write(self, lark: Lark, _opener: str, tools: Sequence[Tool], /, *, many: bool) -> str:
        """How the calls are spelled: see `chat.lark`."""
        functions = (self._write_call(lark, tool) for tool in tools)
        invoke = lark.text(f'{self.mark}<invoke name="')
        call = lark.rule(f"{lark.blanks} {invoke} {one_of(*functions)}")
        close = lark.text(f"{self.mark}</tool_call>")
        calls = f"{call} {f'({call})*' if many else ''}"
        return f"{lark.text('<tool_call>')} {calls} {lark.blanks} {close}"

    def _write_call(self, lark: Lark, tool: Tool) -> str:
        schema = Schema(tool.parameters or {}, tool.parameters or {})

        def write(form: ObjectForm) -> str:
            if not form.names and (form.others != NOTHING or form.patterns):
                end = lark.text(f"{self.mark}</invoke>")  # no rule can repeat any name
                return f"{write_narrowed(lark, schema, schema.types)} {lark.blanks} {end}"
            return self._write_members(lark, schema, form, "invoke")

        call = f"{literal(tool.name)} {literal(_NAME_END)} {write_forms(schema, write)}"
        return one_of(call, lark.check(schema.node))

    def _write_members(self, lark: Lark, schema: Schema, form: ObjectForm, tag: str) -> str:
        """Of an object, with its end."""
        check_names(schema, ">", _NAME)

        def write(member: Member) -> str:
            if member.name is None:  # an end tag cannot repeat what stands in the other
                return lark.terminal("NEVER", NEVER)
            return self._write_element(lark, member.schema, member.reading, member.name)

        members = write_members(lark, schema, form, write)
        return f"{members} {lark.text(f'{self.mark}</{tag}>')}"

    def _write_element(self, lark: Lark, schema: Schema, reading: Schema, tag: str) -> str:
        """An element from its opening tag on."""

        def write() -> str:
            ways = one_of(*self._write_inside(lark, schema, reading, tag))
            return f"{lark.text(f'{self.mark}<')} {literal(f'{tag}>')} {ways}"

        return lark.shared(json.dumps([tag, schema.node, reading.node]), write)

    def _write_inside(self, lark: Lark, schema: Schema, reading: Schema, tag: str) -> Iterator[str]:
        """The ways to write a value, up to and with the closing tag. An object or an array whose
        elements cannot tell it stands there as JSON."""
        left = schema.types or TYPES
        for kind, write in (("object", self._write_objects), ("array", self._write_arrays)):
            if kind in reading.types & left:
                with suppress(Unwritable):
                    yield from write(lark, schema, reading, tag)
                    left -= {kind}
        if left or schema.is_free:
            avoid = rf"/[ \t\r\n]*{escape(self.mark)}<(?s:.)*/" if reading.types != STRING else ""
            end = f"{self.mark}</{tag}>"
            yield write_text(lark, Place(end, avoid=avoid), schema, reading, left)

    def _write_objects(self, lark: Lark, schema: Schema, reading: Schema, tag: str) -> list[str]:
        """Beside arrays, elements are items; and without elements, it may be something else."""
        if "array" in reading.types:
            raise Unwritable("objects beside arrays")
        made: list[str] = []
        for form in schema.objects:
            is_map = not form.names and (form.others != NOTHING or form.patterns)
            if is_map or not (_is_one(reading) or any(map(form.requires, form.names))):
                raise Unwritable("members without names, or none at all")
            made.append(self._write_members(lark, schema, form, tag))
        return made

    def _write_arrays(self, lark: Lark, schema: Schema, reading: Schema, tag: str) -> list[str]:
        made: list[str] = []
        end = lark.text(f"{self.mark}</{tag}>")
        for form in schema.arrays:

            def write(node: Node) -> str:
                return self._write_element(lark, Schema(node, schema.root), schema.items, _ITEM)

            least, most = form.bounds
            if not (least or _is_one(reading)):
                made += [f"{literal('[]')} {end}"]
                least = 1
            first = list(map(write, form.first_items))
            further = None if form.further_items == NOTHING else write(form.further_items)
            made.append(f"{lark.items(first, further, (least, most))} {end}")
        return made

    def _read_arguments(self, scan: Scanner, schema: Schema) -> Steps[None]:
        """The elements of a call, or a JSON object, up to and with its end."""
        yield from scan.skip_space()
        if (yield from scan.peek()) != "{":
            yield from self._read_object(scan, schema, "invoke", 0)
            return
        yield from read_value(scan, scan.add_arguments)
        yield from scan.skip_space()
        yield from scan.take(f"{self.mark}</invoke>")

    def _read_object(self, scan: Scanner, schema: Schema, tag: str, depth: int) -> Steps[None]:
        """The members of the element `tag`, up to and with its end."""
        comma, known = "{", schema.property_names
        while (key := (yield from self._next_tag(scan, tag, known))) is not None:
            scan.add_arguments(f"{comma}{quote(key)}:")
            comma = ","
            yield from self._read_element(scan, schema.property(key), key, depth + 1)
        scan.add_arguments("{}" if comma == "{" else "}")

    def _read_array(self, scan: Scanner, schema: Schema, tag: str, depth: int) -> Steps[None]:
        comma = "["
        while (item := (yield from self._next_tag(scan, tag))) is not None:
            scan.add_arguments(comma)
            comma = ","
            yield from self._read_element(scan, schema.items, item, depth + 1)
        scan.add_arguments("[]" if comma == "[" else "]")

    def _next_tag(self, scan: Scanner, parent: str, known: Sequence[str] = ()) -> Steps[str | None]:
        """The name of the next element; None where that around it ends."""
        yield from scan.skip_space()
        if (yield from scan.take_close(f"{self.mark}</{parent}>")):
            return None
        yield from scan.take(f"{self.mark}<")
        name = yield from take_name(scan, known, ">", _NAME)
        yield from scan.take(">")
        return name

    def _read_element(self, scan: Scanner, schema: Schema, tag: str, depth: int) -> Steps[None]:
        """After the opening tag, up to and with the closing one."""
        if depth > MAX_DEPTH:
            raise Malformed
        types = schema.types
        is_text, first = (True, "") if types == STRING else (yield from self._look_inside(scan))
        if is_text or not (first or (types and types <= _CONTAINERS)):
            text = TypedText(schema, scan.add_arguments)
            yield from read_typed(scan, text, Markers(f"{self.mark}</{tag}>"), _is_end)
        elif ("array" in types and ("object" not in types or first == _ITEM)) or (
            not types & _CONTAINERS and first == _ITEM
        ):
            yield from self._read_array(scan, schema, tag, depth)
        else:
            yield from self._read_object(scan, schema, tag, depth)

    def _look_inside(self, scan: Scanner) -> Steps[tuple[bool, str]]:
        """Whether an element is text, and the name of the first one inside; empty where it ends."""
        scan.hold()
        yield from scan.skip_space()
        is_text = not (yield from scan.try_take(f"{self.mark}<"))
        first = "" if is_text else (yield from scan.read_word(_NAME))
        scan.restore()
        return is_text, first


def _is_one(schema: Schema) -> bool:
    """An object, or an array, and nothing else."""
    return len(schema.types) == 1


def _is_end(_marker: str) -> Steps[bool]:
    return True
    yield
