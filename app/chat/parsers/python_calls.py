"""Tool calls written as Python: `[weather(city="Paris"), now()]`."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.chat.lark import Lark, Sign, one_of
from app.chat.parsers.call_list import read_calls
from app.chat.parsers.json_calls import JsonCalls
from app.chat.parsers.markers import Markers
from app.chat.parsers.python_grammar import find_lists, write_list
from app.chat.parsers.python_text import read_value
from app.chat.parsers.scanner import Malformed, Scanner, Steps
from app.chat.parsers.toolbox import Toolbox
from app.core.messages import Tool

_OBJECTS = JsonCalls("{")
_IN_FUNCTION = re.compile(r"[\w.\-]+")
_IN_PARAMETER = re.compile(r"[^\s=,()\[\]{}\"']+")
_UNPACK = "**"
_METHOD = ".call"  # Llama 3.1 writes its own tools so: brave_search.call(query="...")


@dataclass(frozen=True, slots=True)
class PythonCalls:
    """`open` and `close` stand around a list of calls, or around one. `objects`: models that write
    Python for calls write these as well."""

    open: str
    close: str = ""
    objects: JsonCalls = _OBJECTS

    @property
    def openers(self) -> Markers:
        return Markers(self.open)

    @property
    def markers(self) -> tuple[str, ...]:
        return (self.open, self.close)

    def read(self, scan: Scanner, _opener: str, toolbox: Toolbox, /) -> Steps[None]:
        """The calls up to and with the closing marker. Raises Malformed."""
        yield from read_calls(
            scan,
            lambda: _read_call(scan, toolbox, self.objects, is_bare=False),
            is_start=self._is_start,
        )
        yield from scan.skip_space()
        yield from scan.take_close(self.close)

    def write(self, lark: Lark, _opener: str, tools: Sequence[Tool], /, *, many: bool) -> str:
        """How the calls are spelled: see `chat.lark`."""
        ways = [self.objects.write(lark, self.open, tools, many=many)]
        if calls := write_list(lark, tools, many=many):
            ways.append(f'"[" {calls}')
        rest = f"{lark.space} {one_of(*ways)}"
        return f"{rest} {lark.space} {lark.text(self.close)}" if self.close else rest

    def _is_start(self, char: str) -> bool:
        """Without a marker at the end, words after a call may be text."""
        return char == "{" or (bool(self.close) and char.isidentifier())


@dataclass(frozen=True, slots=True)
class BareCalls:
    """Calls without markers, as Python or as `objects`, wherever a tool that exists is called by
    its name. `is_json`: the format itself writes objects."""

    is_json: bool
    objects: JsonCalls = _OBJECTS

    @property
    def openers(self) -> Markers:
        return Markers("{", "[") if self.is_json else Markers("[", "{")

    @property
    def markers(self) -> tuple[str, ...]:
        return ()

    def read(self, scan: Scanner, opener: str, toolbox: Toolbox, /) -> Steps[None]:
        """What only looked like a call is text, and nothing malformed."""
        n_calls = scan.n_calls
        scan.skip(-len(opener))  # it belongs to the call
        try:
            yield from read_calls(
                scan,
                lambda: _read_call(scan, toolbox, self.objects, is_bare=True),
                is_start="{".__eq__,
            )
        except Malformed:
            if scan.n_calls > n_calls:
                raise
        if scan.n_calls == n_calls:
            scan.give_back()

    def write(self, lark: Lark, opener: str, tools: Sequence[Tool], /, *, many: bool) -> str:
        """How the calls are spelled: see `chat.lark`."""
        objects = self.objects.write(lark, opener, tools, many=many)
        calls = write_list(lark, tools, many=many) if opener == "[" else ""
        return one_of(calls, objects) if calls else objects

    def find(self, lark: Lark, tools: Sequence[Tool], /, *, many: bool) -> Iterator[Sign]:
        """What shows calls in free text."""
        for tool in tools:
            yield from self.objects.find_objects(lark, tool)
        yield from find_lists(lark, tools, many=many)


@dataclass(frozen=True, slots=True)
class MarkedOrBare:
    """What calls in free text are held to: after a marker, and where a tool's name shows that they
    have begun."""

    marked: PythonCalls
    bare: BareCalls

    @property
    def openers(self) -> Markers:
        return self.marked.openers

    def write(self, lark: Lark, opener: str, tools: Sequence[Tool], /, *, many: bool) -> str:
        """How the calls after a marker are spelled: see `chat.lark`."""
        return self.marked.write(lark, opener, tools, many=many)

    def find(self, lark: Lark, tools: Sequence[Tool], /, *, many: bool) -> Iterator[Sign]:
        """What shows calls in free text."""
        yield from self.bare.find(lark, tools, many=many)


def _read_call(
    scan: Scanner, toolbox: Toolbox, objects: JsonCalls, *, is_bare: bool
) -> Steps[None]:
    if (yield from scan.peek()) == "{":
        yield from objects.read_call(scan, toolbox if is_bare else None)
        return
    name = yield from scan.read_word(_IN_FUNCTION)
    name = name if name in toolbox else name.removesuffix(_METHOD)
    yield from scan.take("(")
    if not name or (is_bare and name not in toolbox):
        raise Malformed
    yield from scan.skip_space()
    is_empty = yield from scan.try_take(")")
    parameter = "" if is_empty else (yield from _read_parameter(scan))
    scan.start_call(name)  # what takes arguments without names is no call
    if not is_empty:
        yield from _read_arguments(scan, parameter)


def _read_parameter(scan: Scanner) -> Steps[str]:
    """A name with what follows it, or what unpacks a dictionary of them."""
    if (yield from scan.try_take(_UNPACK)):
        yield from scan.skip_space()
        if (yield from scan.peek()) != "{":
            raise Malformed
        return _UNPACK
    name = yield from scan.read_word(_IN_PARAMETER)
    yield from scan.skip_space()
    yield from scan.take("=")
    return name


def _read_arguments(scan: Scanner, parameter: str) -> Steps[None]:
    """From the value of the first parameter on."""
    before = "{"
    while True:
        if parameter == _UNPACK:
            members = yield from _read_unpacked(scan)
            scan.add_arguments(f"{before}{members}" if members else "")
            before = ", " if members else before
        else:
            scan.add_arguments(f"{before}{json.dumps(parameter, ensure_ascii=False)}: ")
            before = ", "
            yield from scan.skip_space()
            yield from read_value(scan, scan.add_arguments)
        yield from scan.skip_space()
        if (yield from scan.peek()) != ")":
            yield from scan.take(",")
            yield from scan.skip_space()
        if (yield from scan.try_take(")")):
            break
        parameter = yield from _read_parameter(scan)
    scan.add_arguments("}" if before == ", " else "{}")


def _read_unpacked(scan: Scanner) -> Steps[str]:
    """After `**`: the members of a dictionary, as names that Python has no word for need it."""
    pieces: list[str] = []
    yield from read_value(scan, pieces.append)
    text = "".join(pieces)
    return text[1:-1].strip()
