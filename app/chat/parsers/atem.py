"""Muse's messages: `<|start|>assistant to=RECIPIENT<|message|>...<|eom|>`.

Those to `self` are thoughts, those to `user` text, and those to a tool hold calls with tagged
parameters. Calls in a text or a thought only speak of them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from app.chat.lark import Lark, one_of, quote
from app.chat.parsers.base import Reasoning, Text
from app.chat.parsers.markers import Markers
from app.chat.parsers.scanner import Malformed, Scanner, Steps
from app.chat.parsers.tagged_calls import Tag, TaggedCalls
from app.chat.parsers.toolbox import Toolbox
from app.core.messages import Tool

START, MESSAGE = "<|start|>", "<|message|>"
_ENDS = ("<|eom|>", "<|eot|>")
_BODY_ENDS = Markers(START, *_ENDS)
_ROLE, _TO = "assistant", "to="
_NOT_TOOLS = ("", "self", "user")
_WORD = re.compile(r"[^\s<]+")
_TAGGED = TaggedCalls(
    "<atem:function_calls>",
    "</atem:function_calls>",
    Tag('<atem:invoke name="', "</atem:invoke>", name_end='"'),
    Tag('<atem:parameter name="', "</atem:parameter>", name_end='"'),
)


@dataclass(frozen=True, slots=True)
class AtemCalls:
    """Calls in a message to a tool."""

    @property
    def openers(self) -> Markers:
        return _TAGGED.openers

    @property
    def markers(self) -> tuple[str, ...]:
        return _TAGGED.markers

    def read(self, scan: Scanner, opener: str, toolbox: Toolbox, /) -> Steps[None]:
        """The calls up to and with the closing marker. Raises Malformed."""
        yield from _TAGGED.read(scan, opener, toolbox)

    def write(self, lark: Lark, opener: str, tools: Sequence[Tool], /, *, many: bool) -> str:
        """How the calls are spelled: see `chat.lark`."""
        return _TAGGED.write(lark, opener, tools, many=many)


def write_message(lark: Lark, tools: Sequence[Tool]) -> str:
    """A message to a tool with one call, from its recipient on."""
    head = lark.rule(lark.text(f"{MESSAGE}{_TAGGED.open}"))
    calls = (
        f"{quote(tool.name)} {head} {_TAGGED.write(lark, _TAGGED.open, [tool], many=False)}"
        for tool in tools
    )
    return one_of(*calls)


class Atem:
    """Reads the messages of one answer; `prompt_end` may have begun the first."""

    markers: ClassVar[tuple[str, ...]] = (START, MESSAGE, *_ENDS)

    def __init__(self, toolbox: Toolbox, prompt_end: str) -> None:
        self._toolbox = toolbox
        _, start, begun = prompt_end.rpartition(START)
        header, message, body = begun.partition(MESSAGE)
        is_over = any(end in body for end in _ENDS)
        self._recipient = header.rpartition(_TO)[2].strip() if message and not is_over else ""
        self._body = body if self._recipient not in _NOT_TOOLS and toolbox else ""
        self._header = "" if message else start + header

    @property
    def open_call(self) -> str:
        return self._body.lstrip()

    def read(self, scan: Scanner) -> Steps[None]:
        scan.begin_with(self._header or self._body)
        recipient = self._recipient or (yield from _read_header(scan))
        while True:
            marker = yield from self._read_body(scan, recipient)
            if marker is None:
                return
            recipient = yield from _read_header(scan)

    def _read_body(self, scan: Scanner, recipient: str) -> Steps[str | None]:
        """Returns the marker after it; None where the answer ends."""
        if recipient not in _NOT_TOOLS and self._toolbox:
            yield from self._read_calls(scan)
        scan.is_reasoning = recipient == "self"
        marker = yield from scan.tell_until(_BODY_ENDS, Reasoning if scan.is_reasoning else Text)
        scan.is_reasoning = False
        scan.drop()
        return marker

    def _read_calls(self, scan: Scanner) -> Steps[None]:
        scan.hold()
        yield from scan.skip_space()
        try:
            yield from scan.take(_TAGGED.open)
            yield from _TAGGED.read(scan, _TAGGED.open, self._toolbox)
            scan.drop()
        except Malformed:
            scan.refuse()


def _read_header(scan: Scanner) -> Steps[str]:
    """The recipient of a message; empty where it has no header."""
    scan.hold()
    yield from scan.skip_space()
    yield from scan.try_take(START)
    yield from scan.try_take(_ROLE)
    yield from scan.skip_space()
    has_recipient = yield from scan.try_take(_TO)
    recipient = (yield from scan.read_word(_WORD)) if has_recipient else ""
    yield from scan.skip_space()
    if (yield from scan.try_take(MESSAGE)):
        scan.drop()
        return recipient
    scan.restore()
    return ""
