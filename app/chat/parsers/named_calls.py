"""Tool calls written as a name, and then the arguments as JSON."""

import re
from dataclasses import dataclass

from app.chat.parsers.json_calls import JsonCalls
from app.chat.parsers.json_text import read_value
from app.chat.parsers.markers import Markers
from app.chat.parsers.scanner import Malformed, Scanner, Steps
from app.chat.parsers.tool_message import read_tool_message
from app.chat.parsers.toolbox import Toolbox

_NAME = re.compile(r"[^\s<>{}\[\]\"`|｜]+")
_NUMBERED = re.compile(r"(?:functions\.)?(.+?)(?::\d+)?")


@dataclass(frozen=True, slots=True)
class NamedCalls:
    """`open` NAME `arguments` JSON `close`, with any white space between.

    Where the format carries an id, it stands after the name behind `id_open`, or before it in front
    of `name_open`; or the name itself is one, as in `functions.NAME:0` (`is_numbered`). `code_open`
    begins code for the tool `python`, which goes on to the end. `listed`: the older form of the
    family, an array of JSON objects.
    """

    open: str
    arguments: str
    close: str = ""
    id_open: str = ""
    name_open: str = ""
    is_numbered: bool = False
    code_open: str = ""
    listed: JsonCalls | None = None

    @property
    def openers(self) -> Markers:
        return Markers(self.open, self.code_open)

    @property
    def markers(self) -> tuple[str, ...]:
        inner = (self.id_open, self.name_open, self.arguments, self.close)
        return tuple(text for text in (self.open, *inner, self.code_open) if text)

    def read(self, scan: Scanner, opener: str, toolbox: Toolbox, /) -> Steps[None]:
        """One call up to and with the closing marker. Raises Malformed."""
        if opener == self.code_open:
            yield from read_tool_message(scan, "python", toolbox, Markers())
            return
        if self.listed is not None:
            yield from scan.skip_space()
            if (yield from scan.peek()) == "[":
                yield from self.listed.read(scan, opener, toolbox)
                return
        yield from self._read_call(scan)

    def _read_call(self, scan: Scanner) -> Steps[None]:
        name, call_id = yield from self._read_name(scan)
        if not name or not (yield from self._take_open(scan)):
            raise Malformed
        scan.start_call(name, call_id)
        yield from scan.skip_space()
        if (yield from scan.peek()) == "{":
            yield from read_value(scan, scan.add_arguments)
            yield from scan.skip_space()
            yield from scan.take_close(self.close)
        elif not self.close or not (yield from scan.try_take(self.close)):
            raise Malformed
        scan.end_call()

    def _take_open(self, scan: Scanner) -> Steps[bool]:
        """What opens the arguments; some models leave it out."""
        return (yield from scan.try_take(self.arguments)) or (yield from scan.peek()) == "{"

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
