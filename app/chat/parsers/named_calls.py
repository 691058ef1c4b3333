"""Tool calls written as a name, and then the arguments as JSON."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.chat.lark import Lark, one_of, quote
from app.chat.parsers.call_list import skip_surplus
from app.chat.parsers.json_calls import JsonCalls
from app.chat.parsers.json_text import read_value
from app.chat.parsers.markers import Markers
from app.chat.parsers.scanner import Malformed, Scanner, Steps
from app.chat.parsers.tool_message import read_tool_message
from app.chat.parsers.toolbox import Toolbox
from app.core.messages import Tool

_NAME = re.compile(r"[^\s<>{}\[\]\"`|｜]+")
_NUMBERED = re.compile(r"(?:functions\.)?(.+?)(?::\d+)?")
_ID = "/[a-z0-9]{9,10}/"  # Mistral's have 9 characters, Solar's 10


@dataclass(frozen=True, slots=True)
class NamedCalls:
    """`open` NAME `arguments` JSON `closes`, spelled as templates do; the reader takes any white
    space between them. `section_open` and `section_close` may stand around calls, and some models
    leave away part of `open` (`bare_open`).

    Where the format carries an id, it stands after the name behind `id_open`, or before it in front
    of `name_open`; or the name itself is one, as in `functions.NAME:0` (`is_numbered`). `code_open`
    begins code for a tool named `python`, which goes on to the end. `listed`: the older form of the
    family, an array of JSON objects.
    """

    open: str
    arguments: str
    closes: tuple[str, ...] = ()
    section_open: str = ""
    section_close: str = ""
    bare_open: str = ""
    id_open: str = ""
    name_open: str = ""
    is_numbered: bool = False
    code_open: str = ""
    listed: JsonCalls | None = None

    @property
    def openers(self) -> Markers:
        return Markers(self.section_open, self.open, self.bare_open, self.code_open)

    @property
    def markers(self) -> tuple[str, ...]:
        inner = (self.id_open, self.name_open, self.arguments, *self.closes, self.section_close)
        return (*self.openers.texts, *(text for text in inner if text))

    def read(self, scan: Scanner, opener: str, toolbox: Toolbox, /) -> Steps[None]:
        """One call up to and with the closing marker. Raises Malformed."""
        if opener == self.section_open:
            yield from scan.skip_space()
            nexts = (self.section_close, self.open, self.bare_open)
            opener = yield from scan.take_any(tuple(text for text in nexts if text))
            if not opener:
                raise Malformed
            if opener == self.section_close:
                return
        if opener == self.code_open:
            if "python" not in toolbox:
                raise Malformed
            yield from read_tool_message(scan, "python", toolbox, Markers())
            return
        if self.listed is not None:
            yield from scan.skip_space()
            if (yield from scan.peek()) == "[":
                yield from self.listed.read(scan, opener, toolbox)
                return
        yield from self._read_call(scan)

    def write(self, lark: Lark, opener: str, tools: Sequence[Tool], /, *, many: bool) -> str:
        """How calls are spelled: see `chat.lark`."""
        if opener == self.code_open:
            return lark.anything
        call = lark.rule(one_of(*(self._write_call(lark, tool) for tool in tools)))
        if opener != self.section_open:
            return call
        call = f"{lark.blanks} {lark.text(self.open)} {call}"
        again = f"({call})*" if many else ""
        return f"{call} {again} {lark.blanks} {lark.text(self.section_close)}"

    def _write_call(self, lark: Lark, tool: Tool) -> str:
        name = quote(tool.name)
        if self.is_numbered:
            name = f"{quote(f'functions.{tool.name}:')} /[0-9]{{1,3}}/"
        if self.name_open:
            name = f"{_ID} {lark.text(self.name_open)} {name}"
        if self.id_open:
            name = f"{name} ({lark.text(self.id_open)} {_ID})?"
        arguments = f"{lark.text(self.arguments)} {lark.json(tool.parameters or {})}"
        return f"{name} {arguments} {' '.join(map(lark.text, self.closes))}"

    def _read_call(self, scan: Scanner) -> Steps[None]:
        name, call_id = yield from self._read_name(scan)
        if not name or not (yield from self._take_open(scan)):
            raise Malformed
        scan.start_call(name, call_id)
        yield from scan.skip_space()
        closes = [close.strip() for close in self.closes]
        if (yield from scan.peek()) == "{":
            yield from read_value(scan, scan.add_arguments, tuple(closes))
        elif closes and (yield from scan.try_take(closes[0])):
            del closes[0]
        else:
            raise Malformed
        if not closes:
            scan.end_call()
            yield from skip_surplus(scan)
            return
        yield from skip_surplus(scan)
        for close in closes:
            yield from scan.skip_space()
            yield from scan.take_close(close)
        scan.end_call()

    def _take_open(self, scan: Scanner) -> Steps[bool]:
        """What opens the arguments; some models leave it out."""
        sign = self.arguments.strip()
        return (yield from scan.try_take(sign)) or (yield from scan.peek()) == "{"

    def _read_name(self, scan: Scanner) -> Steps[tuple[str, str | None]]:
        name, call_id = (yield from _read_word(scan)), None
        if self.name_open:
            yield from scan.take(self.name_open)
            name, call_id = (yield from _read_word(scan)), name
        if self.id_open and (yield from scan.try_take(self.id_open)):
            call_id = yield from _read_word(scan)
        if self.is_numbered:
            found = _NUMBERED.fullmatch(name)
            name, call_id = found.group(1) if found else "", name
        return name, call_id


def _read_word(scan: Scanner) -> Steps[str]:
    yield from scan.skip_space()
    word = yield from scan.read_word(_NAME)
    yield from scan.skip_space()
    return word
