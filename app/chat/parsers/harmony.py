"""Harmony, the messages of gpt-oss.

`<|start|>assistant to=RECIPIENT<|channel|>CHANNEL <|constrain|>json<|message|>...<|end|>`: thoughts
are in the channel analysis, text in final and commentary, and a call is a message to a tool. The
recipient may stand after the channel too. Source: OpenAI's harmony response format.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from app.chat.lark import Lark, one_of, quote
from app.chat.parsers.base import Reasoning, Text
from app.chat.parsers.markers import Markers
from app.chat.parsers.named_calls import NamedCalls
from app.chat.parsers.scanner import Malformed, Scanner, Steps
from app.chat.parsers.tool_message import read_tool_message
from app.chat.parsers.toolbox import Toolbox
from app.core.messages import Tool

START, CHANNEL, CONSTRAIN, MESSAGE = "<|start|>", "<|channel|>", "<|constrain|>", "<|message|>"
_CLOSERS = ("<|end|>", "<|call|>", "<|return|>")
_OUTSIDE = Markers(START, CHANNEL, MESSAGE, *_CLOSERS)
_HEADER_ENDS = Markers(MESSAGE, START, *_CLOSERS)
_BODY_ENDS = Markers(START, CHANNEL, *_CLOSERS)
_CHANNEL_NAME = re.compile(r"<\|channel\|>\s*(\w+)")
_RECIPIENT = re.compile(r"\bto=([^\s<]+)")
_NAMESPACE = "functions."
_ROLE = "assistant"
_CALL_OPENERS = Markers(f"{CHANNEL}commentary to=", f"{CHANNEL}analysis to=", f"{START}{_ROLE} to=")
_NOT_TOOLS = {"assistant", "user", "all"}
# A model that goes on where it should end says one of these before the next channel.
_FILLERS = (_ROLE, "commentary", "analysis", "final")


@dataclass(frozen=True, slots=True)
class HarmonyCalls(NamedCalls):
    """How models are held to calls, which `Harmony` reads among the other messages. They also come
    in the channel of thoughts, and with the recipient before the channel, as templates write it."""

    @property
    def openers(self) -> Markers:
        return Markers(
            self.open,
            f"{CHANNEL}analysis to={_NAMESPACE}",
            f"{START}{_ROLE} to={_NAMESPACE}",
        )

    def write(
        self,
        lark: Lark,
        opener: str,
        tools: Sequence[Tool],
        /,
        *,
        many: bool,  # noqa: ARG002 - of a protocol
    ) -> str:
        """One call: the next is a message of its own."""
        channel = one_of(quote("commentary"), quote("analysis"))
        channel = f"{lark.text(CHANNEL)} {channel}" if opener.startswith(START) else ""
        kind = one_of(quote(" json"), lark.text(f" {CONSTRAIN}json"), lark.text(f"{CONSTRAIN}json"))
        header = lark.rule(f"{channel} {kind}? {lark.text(self.arguments)}")
        calls = (
            f"{quote(tool.name)} {header} {lark.json(tool.parameters or {})}" for tool in tools
        )
        return f"{lark.rule(one_of(*calls))} {' '.join(map(lark.text, self.closes))}"


class Harmony:
    """Reads the messages of one answer; `prompt_end` may have begun the first.

    A message to a tool where no tools were offered is for nobody: it is dropped, and counted as
    malformed.
    """

    markers: ClassVar[tuple[str, ...]] = (START, CHANNEL, CONSTRAIN, MESSAGE, *_CLOSERS)

    def __init__(self, toolbox: Toolbox, prompt_end: str) -> None:
        self._toolbox = toolbox
        self._begun = _find_begun(prompt_end)

    @property
    def open_call(self) -> str:
        begun = self._begun
        if begun is None or not self._toolbox or _find_tool(begun.header) is None:
            return ""
        text = f"{START}{begun.role}{begun.header}{MESSAGE * begun.has_body}{begun.body}"
        found = _CALL_OPENERS.find(text, 0, is_over=True)
        return text[found[0] :] if found else ""

    def read(self, scan: Scanner) -> Steps[None]:
        header, has_body, goes_on = "", False, False
        if self._begun is not None:
            header, has_body = self._begun.header.strip(), self._begun.has_body
            goes_on = bool(self._begun.body.strip())
            scan.begin_with(self._begun.body if _find_tool(header) else "")
        while True:
            while not has_body:
                header = header or (yield from _find_opener(scan))
                if not header:
                    return
                header, has_body = yield from _finish_header(scan, header)
            marker = yield from self._read_body(scan, header, goes_on=goes_on)
            header, has_body, goes_on = "" if marker in _CLOSERS else marker, False, False

    def _read_body(self, scan: Scanner, header: str, *, goes_on: bool) -> Steps[str]:
        """The text of one message and the marker after it; empty when the answer ends. `goes_on`:
        the prompt has begun the text."""
        name = _find_tool(header)
        if name is None:
            return (yield from _tell_message(scan, header, goes_on=goes_on))
        if not self._toolbox:
            scan.malformed += 1
            return (yield from scan.stream_until(_BODY_ENDS, lambda _: None)) or ""
        try:
            marker = yield from read_tool_message(scan, name, self._toolbox, _BODY_ENDS)
        except Malformed:
            scan.refuse()
            marker = ""
        return marker or (yield from _tell(scan, Text))


@dataclass(frozen=True, slots=True)
class _Begun:
    """How far a prompt has gone into a message."""

    role: str
    header: str
    has_body: bool
    body: str


def _find_begun(prompt_end: str) -> _Begun | None:
    _, start, message = prompt_end.rpartition(START)
    header, has_body, body = message.partition(MESSAGE)
    if not start or any(closer in body for closer in _CLOSERS):
        return None
    role = _ROLE if header.startswith(_ROLE) else ""
    return _Begun(role, header.removeprefix(role), bool(has_body), body)


def _find_opener(scan: Scanner) -> Steps[str]:
    """Tell what stands between messages. Returns what the next begins with; empty at the end."""
    while True:
        scan.hold()
        yield from scan.skip_space()
        yield from scan.take_any(_FILLERS)
        yield from scan.skip_space()
        opener = yield from scan.take_any(("to=", START, CHANNEL, MESSAGE))
        if opener:
            scan.drop()
            return opener
        scan.restore()
        marker = yield from scan.tell_until(_OUTSIDE)
        scan.drop()
        if marker is None:
            return ""
        if marker not in _CLOSERS:
            return marker


def _finish_header(scan: Scanner, header: str) -> Steps[tuple[str, bool]]:
    """What of a header is still to come. False: no text follows it, and so it says nothing."""
    if header != MESSAGE:
        pieces = [header]
        marker = yield from scan.stream_until(_HEADER_ENDS, pieces.append)
        header = "".join(pieces)
        if marker != MESSAGE:
            scan.malformed += _find_tool(header) is not None
            return START if marker == START else "", False
    return header, True


def _find_tool(header: str) -> str | None:
    recipients = _RECIPIENT.findall(header)
    if not recipients or recipients[-1] in _NOT_TOOLS:
        return None
    return str(recipients[-1]).removeprefix(_NAMESPACE)


def _tell_message(scan: Scanner, header: str, *, goes_on: bool) -> Steps[str]:
    channels = _CHANNEL_NAME.findall(header)
    scan.is_reasoning = channels[-1:] == ["analysis"]
    marker = yield from _tell(scan, Reasoning if scan.is_reasoning else Text, goes_on=goes_on)
    scan.is_reasoning = False
    return marker


def _tell(
    scan: Scanner, kind: type[Text] | type[Reasoning], *, goes_on: bool = False
) -> Steps[str]:
    marker = yield from scan.tell_until(_BODY_ENDS, kind, goes_on=goes_on)
    scan.drop()
    return marker or ""
