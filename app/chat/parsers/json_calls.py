"""Tool calls written as JSON objects: `{"name": ..., "arguments": {...}}` between markers."""

import json
import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from app.chat.lark import ANY, Lark, Sign, escape, one_of, quote
from app.chat.parsers.call_list import read_calls
from app.chat.parsers.json_text import parse, read_parsed, read_value
from app.chat.parsers.markers import Markers
from app.chat.parsers.scanner import Malformed, Scanner, Steps
from app.chat.parsers.toolbox import Toolbox
from app.core.messages import Tool

_WRAPPER = "function"  # OpenAI's own form: {"type": "function", "function": {"name": ...}}
_AGAIN = r"/[ \t\r\n]{0,8}[,;]?[ \t\r\n]{0,8}\{/"  # a further call, which is no text
_ID = {"type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,64}$"}
_GAP = r"[ \t\r\n]*"
_FIRST = rf'("(type|id)"{_GAP}:{_GAP}"[^"\\]*"{_GAP},{_GAP})*'
_OPEN = rf"\{{{_GAP}"
_FENCE = "```"  # some models put one around JSON, as in Markdown
_LANGUAGE = re.compile(r"\w+")
_BESIDE = frozenset({"type", "id"})  # what may stand before a name


@dataclass(frozen=True, slots=True)
class JsonCalls:
    """`open` and `close` stand around one call, several, or an array of them; an opener that ends
    with a bracket opens the array too.

    `name_keys`, `argument_keys` and `id_keys`: what the members are called; the first are what the
    format itself writes. Without `name_keys` the name is the key: `{NAME: arguments}`.
    `other_opens`: what models write for `open` as well.
    """

    open: str
    close: str = ""
    name_keys: tuple[str, ...] = ("name",)
    argument_keys: tuple[str, ...] = ("arguments", "parameters")
    id_keys: tuple[str, ...] = ()
    other_opens: tuple[str, ...] = ()

    @property
    def openers(self) -> Markers:
        return Markers(self.open, *self.other_opens)

    @property
    def markers(self) -> tuple[str, ...]:
        return (self.open, *self.other_opens, self.close)

    def read(self, scan: Scanner, opener: str, _toolbox: Toolbox, /) -> Steps[None]:
        """The calls up to and with the closing marker. Raises Malformed."""
        yield from scan.skip_space()
        is_fenced = yield from scan.try_take(_FENCE)
        if is_fenced:
            yield from scan.read_word(_LANGUAGE)
        yield from read_calls(
            scan,
            lambda: self.read_call(scan),
            is_start="{".__eq__,
            is_open=opener.endswith("["),
        )
        yield from scan.skip_space()
        if is_fenced and (yield from scan.take_close(_FENCE)):
            yield from scan.skip_space()
        yield from scan.take_close(self.close)

    def write(self, lark: Lark, opener: str, tools: Sequence[Tool], /, *, many: bool) -> str:
        """How the calls are spelled: see `chat.lark`."""
        call = lark.rule(self._write_call(lark, tools))
        brace, comma = quote("{"), f"{lark.space} {quote(',')} {lark.space}"
        rest = f"{lark.space} {brace} {call} {f'({comma} {brace} {call})*' if many else ''}"
        rest = f"{rest} {lark.space} {quote(']')}"
        array = f"{quote('[')} {rest}"
        bare = f"{brace} {call} {f'({lark.lazy(_AGAIN)} {call})*' if many else ''}"
        if opener == "{":
            return bare.removeprefix(brace)
        calls = rest if opener.endswith("[") else f"{lark.space} {one_of(bare, array)}"
        return f"{calls} {lark.space} {lark.text(self.close)}" if self.close else calls

    def find_objects(self, lark: Lark, tool: Tool) -> Iterator[Sign]:
        """What shows a call without markers: all up to its arguments."""
        name = escape(json.dumps(tool.name, ensure_ascii=False))
        keys = "|".join(map(escape, self.argument_keys))
        call = rf'"{self.name_keys[0]}"{_GAP}:{_GAP}{name}{_GAP},{_GAP}"({keys})"{_GAP}:'
        wrapper = rf'"{_WRAPPER}"{_GAP}:{_GAP}{_OPEN}'
        arguments = f"{lark.space} {lark.json(tool.parameters or {})}"
        close = f"{lark.space} {quote('}')}"
        outer = rf"\{{{_GAP}{_FIRST}"
        unwrapped = f"({ANY} & ~/(?s:.)*{outer}{wrapper.removesuffix(_OPEN)}/)"
        yield Sign(rf"{unwrapped} /{outer}{call}/", f"{arguments} {close}")
        yield Sign(f"{ANY} /{outer}{wrapper}{call}/", f"{arguments} {close} {close}")

    def _write_call(self, lark: Lark, tools: Sequence[Tool]) -> str:
        """From after its bracket."""

        def member(key: str, value: str) -> str:
            return f"{_quote(key)} {lark.space} {quote(':')} {lark.space} {value}"

        comma = lark.rule(f"{lark.space} {quote(',')} {lark.space}")
        made = [(tool.name, lark.json(tool.parameters or {})) for tool in tools]
        if self.name_keys:
            key = self.argument_keys[0]
            functions = (f"{_quote(name)} {comma} {member(key, value)}" for name, value in made)
            call = member(self.name_keys[0], one_of(*functions))
        else:
            call = one_of(*(member(name, value) for name, value in made))
        if self.id_keys:
            call_id = lark.rule(member(self.id_keys[0], lark.json(_ID)))
            call = one_of(f"{call} ({comma} {call_id})?", f"{call_id} {comma} {call}")
        return f"{lark.space} {call} {lark.space} {quote('}')}"

    def read_call(self, scan: Scanner, known: Container[str] | None = None) -> Steps[None]:
        """One object. The call starts as soon as it has its name, or with its arguments where the
        format writes an id, which may stand before them. Arguments before the name, or in a JSON
        string, are told when they are whole.

        `known`: objects may be something else; only name and arguments of one of these are a call.
        """
        call = _Call(known, waits_for_id=bool(self.id_keys))
        yield from self._read_members(scan, call)
        call.start(scan, is_over=True)

    def _read_members(self, scan: Scanner, call: "_Call") -> Steps[None]:
        yield from scan.take("{")
        ends = tuple(filter(None, ("]", self.close)))
        while (key := (yield from _read_key(scan, ends if call.is_complete else ()))) is not None:
            if key == _WRAPPER and call.name is None and (yield from scan.peek()) == "{":
                yield from self._read_members(scan, call)
            elif key in self.name_keys and call.name is None:
                call.set_name((yield from read_parsed(scan)))
            elif key in self.argument_keys and call.arguments is None:
                yield from _read_arguments(scan, call, self.close)
            elif key in self.id_keys and call.id is None:
                call.set_id(scan, str((yield from read_parsed(scan))))
            elif not self.name_keys and call.name is None:
                call.set_name(key)
                yield from _read_arguments(scan, call, self.close)
            else:
                call.check_other(key)
                yield from read_value(scan, _ignore)
            call.start(scan)
            yield from scan.skip_space()
            yield from scan.try_take(",")


class _Call:
    """One call while its members arrive, in whatever order. Raises Malformed where it is none."""

    def __init__(self, known: Container[str] | None, *, waits_for_id: bool) -> None:
        self.name: str | None = None
        self.id: str | None = None
        self.arguments: str | None = None  # what came of them before the call was started
        self.is_started = False
        self._known = known
        self._waits_for_id = waits_for_id

    @property
    def is_complete(self) -> bool:
        """It was started, and its arguments are there: only its end is missing."""
        return self.is_started and self.arguments is not None

    def set_id(self, scan: Scanner, call_id: str) -> None:
        self.id = call_id
        if self.is_started:
            scan.add_id(call_id)

    def set_name(self, name: Any) -> None:
        if not isinstance(name, str) or not name:
            raise Malformed
        if self._known is not None and name not in self._known:
            raise Malformed
        self.name = name

    def check_other(self, key: str) -> None:
        """What may be something else is not read to its end to find out."""
        if self._known is not None and not self.is_started and key not in _BESIDE:
            raise Malformed

    def start(self, scan: Scanner, *, is_over: bool = False) -> None:
        """Tell the start, once enough is known of it."""
        lacks = self.name is None or (self._known is not None and self.arguments is None)
        if is_over and lacks:
            raise Malformed
        waits = self._waits_for_id and self.id is None and self.arguments is None and not is_over
        if self.name is None or self.is_started or lacks or waits:
            return
        scan.start_call(self.name, self.id)
        scan.add_arguments(self.arguments or "")
        self.is_started = True


def _read_key(scan: Scanner, ends: tuple[str, ...]) -> Steps[str | None]:
    """A member's name with its colon; None where the object ends. `ends`: what may follow it, and
    shows where its bracket was forgotten."""
    yield from scan.skip_space()
    if (yield from scan.try_take("}")) or (ends and (yield from scan.looks_at(*ends))):
        return None
    if (yield from scan.peek()) != '"':
        raise Malformed
    key: Any = yield from read_parsed(scan)
    yield from scan.skip_space()
    yield from scan.take(":")
    yield from scan.skip_space()
    return str(key)


def _read_arguments(scan: Scanner, call: _Call, close: str) -> Steps[None]:
    """The arguments' JSON text; told as it comes where the call was started and they are an
    object. Some models write them into a JSON string."""
    if call.name is None:
        call.check_other("arguments")
    call.arguments = ""
    call.start(scan)
    if call.is_started and (yield from scan.peek()) in {"{", "["}:
        yield from read_value(scan, scan.add_arguments, (close,) if close else ())
        return
    pieces: list[str] = []
    yield from read_value(scan, pieces.append)
    text = "".join(pieces)
    if text.startswith('"'):
        text = str(parse(text))
    call.arguments = "{}" if text in {"", "null"} else text
    if call.is_started:
        scan.add_arguments(call.arguments)


def _ignore(_piece: str) -> None:
    """For what is read past."""


def _quote(name: str) -> str:
    """A name as a JSON string."""
    return quote(json.dumps(name, ensure_ascii=False))
