"""Gemma's calls: `call:NAME{key:<|"|>text<|"|>,other:1}`, told as JSON while they come."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.chat.lark import Lark, one_of, quote
from app.chat.parsers.gemma_grammar import GemmaWriter
from app.chat.parsers.json_text import MAX_DEPTH
from app.chat.parsers.markers import Markers
from app.chat.parsers.scanner import Malformed, Scanner, Steps, is_json
from app.chat.parsers.toolbox import Toolbox
from app.chat.parsers.typed_text import escape
from app.core.messages import Tool

_NAME = re.compile(r"[^\s{}<>]+")
_KEY = re.compile(r"[^:{}\[\],<]+")
_BARE = re.compile(r"[^{}\[\],<]+")
_NULLS = {"null", "None", "none", "nil"}


@dataclass(frozen=True, slots=True)
class GemmaCalls:
    """`open` and `close` stand around a call, `quote` around its strings."""

    open: str
    close: str
    quote: str

    @property
    def openers(self) -> Markers:
        return Markers(self.open)

    @property
    def markers(self) -> tuple[str, ...]:
        return (self.open, self.close, self.quote)

    def read(self, scan: Scanner, _opener: str, _toolbox: Toolbox, /) -> Steps[None]:
        """One call up to and with the closing marker. Raises Malformed."""
        yield from scan.skip_space()
        yield from scan.try_take("call")  # some models leave the word out
        yield from scan.take(":")
        name = yield from scan.read_word(_NAME)
        yield from scan.skip_space()
        if not name or (yield from scan.peek()) != "{":
            raise Malformed
        scan.start_call(name)
        yield from _read_value(scan, self.quote, MAX_DEPTH)
        scan.end_call()
        yield from scan.skip_space()
        yield from scan.take_close(self.close)

    def write(
        self,
        lark: Lark,
        _opener: str,
        tools: Sequence[Tool],
        /,
        *,
        many: bool,  # noqa: ARG002 - every call has an opener of its own
    ) -> str:
        """How a call is spelled: see `chat.lark`."""
        writer = GemmaWriter(lark, self.quote)
        calls = (
            f"{quote(f'call:{tool.name}')} {writer.arguments(tool.parameters or {})}"
            for tool in tools
        )
        return f"{one_of(*calls)} {lark.text(self.close)}"


def _read_value(scan: Scanner, mark: str, depth: int) -> Steps[None]:
    """Take one value and tell it as JSON. Text that stands without quotes is a string."""
    if not depth:
        raise Malformed
    if (yield from scan.try_take("{")):
        yield from _read_members(scan, mark, depth, "{", "}")
    elif (yield from scan.try_take("[")):
        yield from _read_members(scan, mark, depth, "[", "]")
    elif (yield from scan.try_take(mark)):
        yield from _read_string(scan, mark)
    else:
        bare = (yield from scan.read_word(_BARE)).strip()
        if not bare or not (yield from scan.peek()):
            raise Malformed
        scan.add_arguments(_as_json(bare))


def _read_members(scan: Scanner, mark: str, depth: int, opener: str, closer: str) -> Steps[None]:
    scan.add_arguments(opener)
    separator = ""
    while True:
        yield from scan.skip_space()
        if (yield from scan.try_take(closer)):
            scan.add_arguments(closer)
            return
        if separator and not (yield from scan.try_take(",")):
            raise Malformed
        yield from scan.skip_space()
        if separator and (yield from scan.peek()) == closer:
            continue
        scan.add_arguments(separator)
        separator = ", "
        if opener == "{":
            yield from _read_key(scan, mark)
        yield from _read_value(scan, mark, depth - 1)


def _read_key(scan: Scanner, mark: str) -> Steps[None]:
    if (yield from scan.try_take(mark)):
        yield from _read_string(scan, mark)
    else:
        key = (yield from scan.read_word(_KEY)).strip().strip('"')
        scan.add_arguments(f'"{escape(key)}"')
    yield from scan.skip_space()
    yield from scan.take(":")
    yield from scan.skip_space()
    scan.add_arguments(": ")


def _read_string(scan: Scanner, mark: str) -> Steps[None]:
    scan.add_arguments('"')
    end = Markers(mark)
    found = yield from scan.stream_until(end, lambda piece: scan.add_arguments(escape(piece)))
    if found is None:
        raise Malformed
    scan.add_arguments('"')


def _as_json(bare: str) -> str:
    if bare in _NULLS:
        return "null"
    return bare if is_json(bare) else json.dumps(bare, ensure_ascii=False)
