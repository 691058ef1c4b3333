"""Tool calls whose arguments are nested elements: `<a>1</a>`, and `<item>` for those of an array.

Whether an element is text, an object or an array, its schema tells, and what stands inside.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.chat.lark import Lark, one_of
from app.chat.lark import quote as literal
from app.chat.parsers.json_text import MAX_DEPTH
from app.chat.parsers.markers import Markers
from app.chat.parsers.scanner import Malformed, Scanner, Steps
from app.chat.parsers.schema import Schema
from app.chat.parsers.text_grammar import write_text
from app.chat.parsers.toolbox import Toolbox
from app.chat.parsers.typed_text import STRING, TypedText, quote
from app.core.messages import Tool

_NAME = re.compile(r'[^<>"/\n]+')
_ITEM = "item"
_MAX_WRITTEN = 8
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
            yield from scan.take('">')
            scan.start_call(name)
            yield from self._read_object(scan, toolbox.parameters_of(name), "invoke", 0)
            scan.end_call()
            scan.hold()
            yield from scan.skip_space()
            if not (yield from scan.try_take(invoke)):
                break
        yield from scan.take_close(f"{self.mark}</tool_call>")

    def write(self, lark: Lark, _opener: str, tools: Sequence[Tool], /, *, many: bool) -> str:
        """How the calls are spelled: see `chat.lark`."""
        functions: list[str] = []
        for tool in tools:
            schema = Schema(tool.parameters or {}, tool.parameters or {})
            name = literal(tool.name + '">')
            functions.append(f"{name} {self._write_members(lark, schema, 'invoke', frozenset())}")
        invoke = lark.text(f'{self.mark}<invoke name="')
        call = lark.rule(f"{lark.blanks} {invoke} {one_of(*functions)}")
        close = lark.text(f"{self.mark}</tool_call>")
        calls = f"{call} {f'({call})*' if many else ''}"
        return f"{lark.text('<tool_call>')} {calls} {lark.blanks} {close}"

    def _write_members(self, lark: Lark, schema: Schema, tag: str, above: frozenset[int]) -> str:
        """Of an object, with its end. Where the schema names none, they may be any."""
        end = f"{self.mark}</{tag}>"
        if not schema.property_names and schema.node.get("additionalProperties") is not False:
            return lark.until(end)
        required: Any = schema.node.get("required", ())
        members = (
            f"({self._write_element(lark, schema.property(name), name, above)})"
            f"{'' if name in required else '?'}"
            for name in schema.property_names
        )
        return f"{' '.join(members)} {lark.text(end)}"

    def _write_items(self, lark: Lark, schema: Schema, tag: str, above: frozenset[int]) -> str:
        least, most = schema.node.get("minItems", 0), schema.node.get("maxItems", "")
        item = self._write_element(lark, schema.items, _ITEM, above)
        return f"({item}){{{least},{most}}} {lark.text(f'{self.mark}</{tag}>')}"

    def _write_element(self, lark: Lark, schema: Schema, tag: str, above: frozenset[int]) -> str:
        """An element from its opening tag on. `above`: the schemas of those it stands in; one in
        itself is not held to its schema any more."""
        end, types = f"{self.mark}</{tag}>", schema.types
        is_free = not types or id(schema.node) in above or len(above) == _MAX_WRITTEN
        above |= {id(schema.node)}
        ways = [lark.until(end)] if is_free else []
        if types - _CONTAINERS and not is_free:
            ways.append(write_text(lark, schema, end))
        for node in () if is_free else schema.narrowed(types & _CONTAINERS):
            part = Schema(node, schema.root)
            if "array" in part.types:
                ways.append(self._write_items(lark, part, tag, above))
            if "object" in part.types:
                ways.append(self._write_members(lark, part, tag, above))
        return lark.rule(f"{lark.text(f'{self.mark}<{tag}>')} {one_of(*ways)}")

    def _read_object(self, scan: Scanner, schema: Schema, tag: str, depth: int) -> Steps[None]:
        """The members of the element `tag`, up to and with its end."""
        comma = "{"
        while (key := (yield from self._next_tag(scan, tag))) is not None:
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

    def _next_tag(self, scan: Scanner, parent: str) -> Steps[str | None]:
        """The name of the next element; None where that around it ends."""
        yield from scan.skip_space()
        if (yield from scan.take_close(f"{self.mark}</{parent}>")):
            return None
        yield from scan.take(f"{self.mark}<")
        name = yield from scan.read_word(_NAME)
        yield from scan.take(">")
        return name

    def _read_element(self, scan: Scanner, schema: Schema, tag: str, depth: int) -> Steps[None]:
        """After the opening tag, up to and with the closing one."""
        if depth > MAX_DEPTH:
            raise Malformed
        types = schema.types
        is_text, first = (True, "") if types == STRING else (yield from self._look_inside(scan))
        if is_text or not (first or (types and types <= _CONTAINERS)):
            text = TypedText(types, scan.add_arguments)
            end = yield from scan.stream_until(Markers(f"{self.mark}</{tag}>"), text.add)
            if end is None:
                raise Malformed
            text.end()
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
