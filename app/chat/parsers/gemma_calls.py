"""Gemma 4's calls: `call:NAME{key:<|"|>text<|"|>,other:1}`, told as JSON while they come."""

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

OPEN, CLOSE, QUOTE = "<|tool_call>", "<tool_call|>", '<|"|>'
_NAME = re.compile(r"[^\s{}<>]+")
_KEY = re.compile(r"[^:{}\[\],<]+")
_BARE = re.compile(r"[^{}\[\],<]+")
_NULLS = {"null", "None", "none", "nil"}
_QUOTES = Markers(QUOTE)


@dataclass(frozen=True, slots=True)
class GemmaCalls:
    @property
    def openers(self) -> Markers:
        return Markers(OPEN)

    @property
    def markers(self) -> tuple[str, ...]:
        return (OPEN, CLOSE, QUOTE)

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
        yield from _read_value(scan, MAX_DEPTH)
        scan.end_call()
        yield from scan.skip_space()
        yield from scan.take_close(CLOSE)

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
        writer = GemmaWriter(lark, QUOTE)
        calls = (
            f"{quote(f'call:{tool.name}')} {writer.arguments(tool.parameters or {})}"
            for tool in tools
        )
        return f"{one_of(*calls)} {lark.text(CLOSE)}"


def _read_value(scan: Scanner, depth: int) -> Steps[None]:
    """Take one value and tell it as JSON. Text that stands without quotes is a string."""
    if not depth:
        raise Malformed
    if (yield from scan.try_take("{")):
        yield from _read_members(scan, depth, "{", "}")
    elif (yield from scan.try_take("[")):
        yield from _read_members(scan, depth, "[", "]")
    elif (yield from scan.try_take(QUOTE)):
        yield from _read_string(scan)
    else:
        bare = (yield from scan.read_word(_BARE)).strip()
        if not bare or not (yield from scan.peek()):
            raise Malformed
        scan.add_arguments(_as_json(bare))


def _read_members(scan: Scanner, depth: int, opener: str, closer: str) -> Steps[None]:
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
            yield from _read_key(scan)
        yield from _read_value(scan, depth - 1)


def _read_key(scan: Scanner) -> Steps[None]:
    if (yield from scan.try_take(QUOTE)):
        yield from _read_string(scan)
    else:
        key = (yield from scan.read_word(_KEY)).strip().strip('"')
        scan.add_arguments(f'"{escape(key)}"')
    yield from scan.skip_space()
    yield from scan.take(":")
    yield from scan.skip_space()
    scan.add_arguments(": ")


def _read_string(scan: Scanner) -> Steps[None]:
    scan.add_arguments('"')
    marker = yield from scan.stream_until(_QUOTES, lambda piece: scan.add_arguments(escape(piece)))
    if marker is None:
        raise Malformed
    scan.add_arguments('"')


def _as_json(bare: str) -> str:
    if bare in _NULLS:
        return "null"
    return bare if is_json(bare) else json.dumps(bare, ensure_ascii=False)
