"""Tool calls written as a name, and then pairs of a key and a value between tags.

`<tool_call>f<arg_key>a</arg_key><arg_value>1</arg_value></tool_call>`; white space between is free.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.chat.lark import Lark, one_of
from app.chat.lark import quote as literal
from app.chat.parsers.key_text import check_names, take_name
from app.chat.parsers.markers import Markers
from app.chat.parsers.scanner import Malformed, Scanner, Steps
from app.chat.parsers.schema import Schema
from app.chat.parsers.text_grammar import Member, Place, write_forms, write_members, write_text
from app.chat.parsers.toolbox import Toolbox
from app.chat.parsers.typed_text import TypedText, quote, read_typed
from app.core.messages import Tool

_NAME = re.compile(r"[^\s<>{}\[\]\"]+")
_KEY = re.compile(r"[^<>\n]+")


@dataclass(frozen=True, slots=True)
class ArgumentPairs:
    """`list_tag` stands around all calls, `name_end` after a name, where the format has them.

    `marks`: what may stand at the end of the name of every tag; the first is what the format itself
    writes.
    """

    list_tag: str = ""
    name_end: str = ""
    marks: tuple[str, ...] = ("",)

    @property
    def openers(self) -> Markers:
        names = filter(None, ("tool_call", self.list_tag))
        return Markers(*(f"<{name}{mark}>" for name in names for mark in self.marks))

    @property
    def markers(self) -> tuple[str, ...]:
        names = filter(None, ("tool_call", "arg_key", "arg_value", self.list_tag))
        pairs = ((f"<{name}{mark}>", f"</{name}{mark}>") for name in names for mark in self.marks)
        ends = (f"<{self.name_end}{mark}>" for mark in self.marks if self.name_end)
        return (*(tag for pair in pairs for tag in pair), *ends)

    def read(self, scan: Scanner, opener: str, toolbox: Toolbox, /) -> Steps[None]:
        """The calls up to and with the closing marker. Raises Malformed."""
        mark = next(mark for mark in self.marks if opener.endswith(f"{mark}>"))
        call = f"<tool_call{mark}>"
        if opener != call:
            yield from scan.skip_space()
            yield from scan.take(call)
        while True:
            yield from self._read_call(scan, mark, toolbox)
            scan.hold()
            yield from scan.skip_space()
            if not (yield from scan.try_take(call)):
                break
        if self.list_tag:
            yield from scan.take_close(f"</{self.list_tag}{mark}>")

    def write(self, lark: Lark, opener: str, tools: Sequence[Tool], /, *, many: bool) -> str:
        """How the calls are spelled: see `chat.lark`. Arguments come in the schema's order."""
        mark = next(mark for mark in self.marks if opener.endswith(f"{mark}>"))
        call = lark.rule(one_of(*(self._write_call(lark, mark, tool) for tool in tools)))
        start = f"{lark.space} {lark.text(f'<tool_call{mark}>')}"
        calls = f"{call} ({start} {call})*" if many else call
        if self.list_tag and opener == f"<{self.list_tag}{mark}>":
            return f"{start} {calls} {lark.space} {lark.text(f'</{self.list_tag}{mark}>')}"
        return calls

    def _write_call(self, lark: Lark, mark: str, tool: Tool) -> str:
        schema = Schema(tool.parameters or {}, tool.parameters or {})
        key_end, place = f"</arg_key{mark}>", Place(f"</arg_value{mark}>")
        check_names(schema, key_end, _KEY)

        def write(member: Member) -> str:
            head = f"{lark.space} {lark.text(f'<arg_key{mark}>')} {member.key}"
            head = f"{head} {lark.text(key_end)} {lark.space} {lark.text(f'<arg_value{mark}>')}"
            return f"{head} {write_text(lark, place, member.schema, member.reading)}"

        end = lark.text(f"<{self.name_end}{mark}>") if self.name_end else ""
        parameters = write_forms(schema, lambda form: write_members(lark, schema, form, write))
        close = f"{lark.space} {lark.text(f'</tool_call{mark}>')}"
        call = f"{lark.space} {literal(tool.name)} {end} {parameters} {close}"
        return one_of(call, lark.check(schema.node))

    def _read_call(self, scan: Scanner, mark: str, toolbox: Toolbox) -> Steps[None]:
        """The call starts when what follows shows that its name was one."""
        yield from scan.skip_space()
        name = yield from scan.read_word(_NAME)
        yield from scan.skip_space()
        if self.name_end and (yield from scan.try_take(f"<{self.name_end}{mark}>")):
            yield from scan.skip_space()
        is_empty = yield from scan.take_close(f"</tool_call{mark}>")
        if not name or not (is_empty or (yield from scan.try_take(f"<arg_key{mark}>"))):
            raise Malformed
        scan.start_call(name)
        if not is_empty:
            yield from _read_pairs(scan, mark, toolbox.parameters_of(name))
        scan.end_call()


def _read_pairs(scan: Scanner, mark: str, schema: Schema) -> Steps[None]:
    """After the tag of the first key, up to and with the end of the call."""
    next_key, call_end = f"<arg_key{mark}>", f"</tool_call{mark}>"
    ends = Markers(f"</arg_value{mark}>")

    def is_end(_marker: str) -> Steps[bool]:
        return (yield from scan.looks_at(next_key, call_end))

    comma = "{"
    has_next = True
    while has_next:
        key = yield from take_name(scan, schema.property_names, f"</arg_key{mark}>", _KEY)
        yield from scan.take(f"</arg_key{mark}>")
        yield from scan.skip_space()
        if (yield from scan.try_take(f"<arg_value{mark}>")):
            scan.add_arguments(f"{comma}{quote(key)}:")
            comma = ","
            value = TypedText(schema.property(key), scan.add_arguments)
            yield from read_typed(scan, value, ends, is_end)
            yield from scan.skip_space()
        has_next = yield from scan.try_take(next_key)
    if not (yield from scan.take_close(call_end)):
        raise Malformed
    if comma == ",":
        scan.add_arguments("}")
