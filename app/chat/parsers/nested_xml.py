"""Tool calls whose arguments are nested elements: `<a>1</a>`, and `<item>` for those of an array.

Whether an element is text, an object or an array, its schema tells, and what stands inside.
"""

import re
from dataclasses import dataclass

from app.chat.parsers.json_text import MAX_DEPTH
from app.chat.parsers.markers import Markers
from app.chat.parsers.scanner import Malformed, Scanner, Steps
from app.chat.parsers.schema import Schema
from app.chat.parsers.toolbox import Toolbox
from app.chat.parsers.typed_text import STRING, TypedText, quote

_NAME = re.compile(r'[^<>"/\n]+')
_ITEM = "item"
_CONTAINERS = frozenset({"array", "object"})


@dataclass(frozen=True, slots=True)
class NestedXml:
    """`mark` stands before every tag."""

    mark: str

    @property
    def openers(self) -> Markers:
        return Markers(f"{self.mark}<tool_call>")

    @property
    def markers(self) -> tuple[str, ...]:
        return (self.mark, "<tool_call>", "</tool_call>")

    def read(self, scan: Scanner, _opener: str, toolbox: Toolbox, /) -> Steps[None]:
        """The calls up to and with the closing tag. Raises Malformed."""
        invoke = f'{self.mark}<invoke name="'
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
