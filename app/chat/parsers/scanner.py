"""Telling what was read of an answer: text, thoughts and calls, while they arrive.

The parts, joined, are the same however the answer was cut.
"""

import json
import re

from app.chat.parsers.arriving_text import SPACE, ArrivingText, Malformed, Steps
from app.chat.parsers.base import CallArguments, CallEnd, CallStart, Part, Reasoning, Text
from app.chat.parsers.markers import Markers

__all__ = ["SPACE", "Malformed", "Scanner", "Steps", "is_json"]

_SPACES = re.compile(r"\s+")


class Scanner(ArrivingText):
    """The text of one answer while it arrives, and the parts that were told of it.

    `malformed` counts calls that were begun and could not be read. `is_reasoning` is for the reader
    to set: the text that follows is thought. `has_text`: text was told.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_reasoning = False
        self.malformed = 0
        self.n_calls = 0
        self.has_text = False
        self._call: list[str] | None = None  # the arguments told so far of the call that is open
        self._late_id: str | None = None  # of that call, if it came after its start
        self._parts: list[Part] = []
        self._is_after_call = False
        self._gap = ""  # white space between text and markup, told when more text comes

    def take_parts(self) -> list[Part]:
        """What was told since the last time; neighbouring pieces come as one."""
        parts, self._parts = self._parts, []
        return _join(parts) if len(parts) > 1 else parts

    # --- telling text and thought

    def tell_until(
        self,
        markers: Markers,
        kind: type[Text] | type[Reasoning] = Text,
        *,
        goes_on: bool = False,
    ) -> Steps[str | None]:
        """Tell the text before the earliest of `markers`, without the white space around it; that
        before it stays where it `goes_on` from text in the prompt.

        The marker is taken and returned, and text is held from it on: it is told after all if
        `refuse` is called before a call was started. None: the text ended, and was told.
        """
        if self._is_after_call or (kind is Reasoning and not goes_on):
            space = yield from self.read_word(_SPACES)
            self._gap = self._gap or (space if kind is Text else "")
        while True:
            found = markers.find(self._text, self._at, is_over=self._is_over)
            if found is not None:
                start, end = found
                self._tell(kind, _rstrip_end(self._text, self._at, start))
                self._held, self._at = self._at, end
                return self._text[start:end]
            if self._is_over:
                self._tell_rest(kind)
                return None
            safe = markers.safe_end(self._text, self._at)
            self._tell(kind, _rstrip_end(self._text, self._at, safe))
            yield

    def drop(self) -> None:
        """What was held was markup."""
        if self._held is not None:
            space = _SPACES.match(self._text, self._held, self._at)  # no more than was taken
            is_inside = self._is_after_call and space and space.end() < self._at
            if space and not is_inside:  # that before what closes a call belongs to the markup
                self._gap = self._gap or space.group()
            self._held = None

    def refuse(self, kind: type[Text] | type[Reasoning] = Text) -> None:
        """It was no call after all: what was told of it stays, the rest is text."""
        self.malformed += kind is Text  # a thought may speak of calls
        if self._call is not None:
            self._close(is_whole=False)
        self.give_back(kind)

    def give_back(self, kind: type[Text] | type[Reasoning] = Text) -> None:
        """What was held only looked like a call: it is text."""
        if self._held is not None:
            taken, self._at, self._held = self._at, self._held, None
            self._tell(kind, _rstrip_end(self._text, self._at, taken))

    def _tell_rest(self, kind: type[Text] | type[Reasoning]) -> None:
        """At the end white space belongs to the text, but not to a thought or after a call."""
        end = len(self._text)
        if kind is Reasoning or (self.n_calls and not self._text[self._at :].strip()):
            end = _rstrip_end(self._text, self._at, end)
        self._tell(kind, end)
        self._at = len(self._text)

    def _tell(self, kind: type[Text] | type[Reasoning], end: int) -> None:
        start, self._at = max(self._at, -self._before), max(self._at, end)
        if end > start:  # what the prompt has is not told again
            text = self._text[start:end]
            if kind is Text:
                text = self._gap + text if self.has_text else text
                self._gap, self.has_text = "", True
            self._parts.append(kind(text, self._before + end))
            self._is_after_call = False

    # --- telling calls

    def start_call(self, name: str, call_id: str | None = None) -> None:
        self.drop()
        self._call = []
        self.n_calls += 1
        self._parts.append(CallStart(name, call_id))

    def add_id(self, call_id: str) -> None:
        """Of the call that is open: what comes of it until then need not wait for it."""
        self._late_id = call_id

    def add_arguments(self, text: str) -> None:
        """A piece of the arguments' JSON text."""
        if self._call is not None and text:
            self._call.append(text)
            self._parts.append(CallArguments(text))

    def end_call(self) -> None:
        """The call is over; without arguments it gets an empty object."""
        if not self._call:
            self.add_arguments("{}")
        is_whole = is_json("".join(self._call or ()))
        self.malformed += not is_whole
        self._close(is_whole=is_whole)

    def _close(self, *, is_whole: bool) -> None:
        self._call = None
        self._is_after_call = True
        self._parts.append(CallEnd(is_whole, self._late_id))
        self._late_id = None


def is_json(text: str) -> bool:
    """Strictly: what Python adds, such as NaN, is none."""
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _rstrip_end(text: str, start: int, end: int) -> int:
    """Where `text[start:end]` ends without the white space at its end."""
    while end > start and text[end - 1].isspace():
        end -= 1
    return end


def _join(parts: list[Part]) -> list[Part]:
    joined: list[Part] = []
    run: list[str] = []
    for part, after in zip(parts, [*parts[1:], None], strict=True):
        if isinstance(part, CallStart | CallEnd):
            joined.append(part)
            continue
        run.append(part.text)
        if type(after) is type(part):
            continue
        text = "".join(run)
        run.clear()
        is_arguments = isinstance(part, CallArguments)
        joined.append(CallArguments(text) if is_arguments else type(part)(text, part.end))
    return joined
