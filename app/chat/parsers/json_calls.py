"""Tool calls written as JSON objects: `{"name": ..., "arguments": {...}}` between markers."""

from dataclasses import dataclass
from typing import Any

from app.chat.parsers.json_text import parse, read_parsed, read_value
from app.chat.parsers.markers import Markers
from app.chat.parsers.scanner import Malformed, Scanner, Steps
from app.chat.parsers.toolbox import Toolbox


@dataclass(frozen=True, slots=True)
class JsonCalls:
    """`open` and `close` stand around one call, or around an array of them.

    `name_keys`, `argument_keys` and `id_keys`: what the members are called; the first are what the
    format itself writes.
    """

    open: str
    close: str
    name_keys: tuple[str, ...] = ("name",)
    argument_keys: tuple[str, ...] = ("arguments", "parameters")
    id_keys: tuple[str, ...] = ()

    @property
    def openers(self) -> Markers:
        return Markers(self.open)

    @property
    def markers(self) -> tuple[str, ...]:
        return (self.open, self.close)

    def read(self, scan: Scanner, _opener: str, _toolbox: Toolbox, /) -> Steps[None]:
        """The calls up to and with the closing marker. Raises Malformed."""
        yield from scan.skip_space()
        if (yield from scan.try_take("[")):
            yield from self._read_array(scan)
        else:
            yield from self._read_call(scan)
            scan.end_call()
        yield from scan.skip_space()
        yield from scan.take_close(self.close)

    def _read_array(self, scan: Scanner) -> Steps[None]:
        while True:
            yield from scan.skip_space()
            if (yield from scan.try_take("]")):
                return
            yield from self._read_call(scan)
            scan.end_call()
            yield from scan.skip_space()
            yield from scan.try_take(",")

    def _read_call(self, scan: Scanner) -> Steps[None]:
        """One object. The call starts as soon as its name is known; arguments that stand before
        the name, or in a JSON string, are told when they are whole."""
        name: str | None = None
        arguments: str | None = None
        yield from scan.take("{")
        while True:
            key = yield from _read_key(scan)
            if key is None:
                break
            if key in self.name_keys and name is None:
                name = _check_name((yield from read_parsed(scan)))
                scan.start_call(name)
                scan.add_arguments(arguments or "")
            elif key in self.argument_keys and arguments is None:
                arguments = yield from _read_arguments(scan, is_live=name is not None)
            else:
                yield from read_value(scan, _ignore)
            yield from scan.skip_space()
            yield from scan.try_take(",")
        if name is None:
            raise Malformed


def _read_key(scan: Scanner) -> Steps[str | None]:
    """A member's name with its colon; None where the object ends."""
    yield from scan.skip_space()
    if (yield from scan.try_take("}")):
        return None
    if (yield from scan.peek()) != '"':
        raise Malformed
    key: Any = yield from read_parsed(scan)
    yield from scan.skip_space()
    yield from scan.take(":")
    yield from scan.skip_space()
    return str(key)


def _read_arguments(scan: Scanner, *, is_live: bool) -> Steps[str]:
    """The arguments' JSON text; told as it comes where the call was started and they are an
    object. Some models write them into a JSON string."""
    if is_live and (yield from scan.peek()) in {"{", "["}:
        yield from read_value(scan, scan.add_arguments)
        return ""
    pieces: list[str] = []
    yield from read_value(scan, pieces.append)
    text = "".join(pieces)
    if text.startswith('"'):
        text = str(parse(text))
    text = "{}" if text in {"", "null"} else text
    if is_live:
        scan.add_arguments(text)
    return text


def _check_name(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise Malformed
    return value


def _ignore(_piece: str) -> None:
    """For what is read past."""
