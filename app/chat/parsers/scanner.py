"""Reading text that has not all arrived yet.

A reader of a format is a generator over a `Scanner`: it takes characters, tells parts, and yields
whenever it needs text that is not there. Nothing it does may depend on how much text happens to be
there, so the parts, joined, are the same however the text was cut.
"""

import json
import re
from collections.abc import Callable, Generator
from typing import TypeVar

from app.chat.parsers.base import CallArguments, CallEnd, CallStart, Part, Reasoning, Text
from app.chat.parsers.markers import Markers

T = TypeVar("T")
Steps = Generator[None, None, T]
"""Yields when it needs more text, returns what it has read."""

SPACE = " \t\r\n"
_SPACES = re.compile(r"\s+")


class Malformed(Exception):
    """The text is not what the format wants. What shows it was not taken."""


class Scanner:
    """The text of one answer while it arrives, and the parts that were told of it.

    `malformed` counts calls that were begun and could not be read. `is_reasoning` is for the reader
    to set: the text that follows is thought. `has_text`: text was told.
    """

    def __init__(self) -> None:
        self.is_reasoning = False
        self.malformed = 0
        self.n_calls = 0
        self.has_text = False
        self._text = ""
        self._at = 0  # where reading goes on in `_text`
        self._before = 0  # characters of the answer before `_text`
        self._held: int | None = None  # where that begins which is text should it be no call
        self._call: list[str] | None = None  # the arguments told so far of the call that is open
        self._parts: list[Part] = []
        self._is_over = False
        self._is_after_call = False
        self._gap = ""  # white space between text and markup, told when more text comes

    # --- for who feeds it

    def add(self, text: str) -> None:
        start = self._at if self._held is None else self._held
        self._text = self._text[start:] + text
        self._before += start
        self._at -= start
        self._held = None if self._held is None else 0

    def end(self) -> None:
        """There will be no more text."""
        self._is_over = True

    def take_parts(self) -> list[Part]:
        """What was told since the last time; neighbouring pieces come as one."""
        parts, self._parts = self._parts, []
        return _join(parts) if len(parts) > 1 else parts

    # --- taking text

    def wait(self) -> Steps[bool]:
        """For more text. False: there will be none."""
        if self._is_over:
            return False
        yield
        return True

    @property
    def has_more(self) -> bool:
        """There is text that was not taken."""
        return self._at < len(self._text)

    def peek(self) -> Steps[str]:
        """The next character, not taken; empty at the end."""
        while self._at >= len(self._text):
            if not (yield from self.wait()):
                return ""
        return self._text[self._at]

    def skip(self, count: int) -> None:
        """Take characters that are there; a negative `count` gives back those taken last."""
        self._at += count

    def take_run(self, pattern: re.Pattern[str]) -> str:
        """Take what of the text that is there begins so. It may go on in what comes next."""
        found = pattern.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found.group()

    def read_word(self, pattern: re.Pattern[str]) -> Steps[str]:
        """Take the longest run of characters that `pattern` (of single characters) allows."""
        word = ""
        while (yield from self.peek()) and (run := self.take_run(pattern)):
            word += run
        return word

    def skip_space(self) -> Steps[None]:
        while (char := (yield from self.peek())) and char in SPACE:
            self._at += 1

    def try_take(self, literal: str) -> Steps[bool]:
        """Take `literal`, if that comes next."""
        while not self._text.startswith(literal, self._at):
            if not self._may_become(literal) or not (yield from self.wait()):
                return False
        self._at += len(literal)
        return True

    def take(self, literal: str) -> Steps[None]:
        """Raises Malformed where something else comes next."""
        if not (yield from self.try_take(literal)):
            raise Malformed

    def take_close(self, literal: str) -> Steps[bool]:
        """Take a closing marker if it comes next, or what the end of the text left of it.

        False: nothing of it was there.
        """
        if (yield from self.try_take(literal)):
            return True
        if not self.has_more or not self._may_become(literal):
            return False
        self._at = len(self._text)
        return True

    def looks_at(self, *literals: str) -> Steps[bool]:
        """Whether one of `literals` comes next after white space, or what the end of the text left
        of one. Nothing is taken; not for text that is held."""
        self.hold()
        yield from self.skip_space()
        found = yield from self.take_any(literals)
        is_cut = any(map(self._may_become, literals))
        self.restore()
        return bool(found) or is_cut

    def take_any(self, literals: tuple[str, ...]) -> Steps[str]:
        """Take the first of `literals` that comes next; empty when none does."""
        for literal in literals:
            if (yield from self.try_take(literal)):
                return literal
        return ""

    def take_until(self, markers: Markers) -> Steps[tuple[str, str]]:
        """The text before the earliest of `markers`, and the marker, both taken.

        Raises Malformed when the text ends before.
        """
        pieces: list[str] = []
        marker = yield from self.stream_until(markers, pieces.append)
        if marker is None:
            raise Malformed
        return "".join(pieces), marker

    def stream_until(self, markers: Markers, tell: Callable[[str], None]) -> Steps[str | None]:
        """Hand over the text before the earliest of `markers` as it comes; take and return the
        marker, None when the text ends before."""
        while True:
            found = markers.find(self._text, self._at, is_over=self._is_over)
            if found is not None:
                start, end = found
                if start > self._at:
                    tell(self._text[self._at : start])
                marker, self._at = self._text[start:end], end
                return marker
            safe = len(self._text) if self._is_over else markers.safe_end(self._text, self._at)
            if safe > self._at:
                piece, self._at = self._text[self._at : safe], safe
                tell(piece)
            if not (yield from self.wait()):
                return None

    def _may_become(self, literal: str) -> bool:
        """What is there is shorter than `literal` and begins like it."""
        left = self._text[self._at : self._at + len(literal)]
        return len(left) < len(literal) and literal.startswith(left)

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

    def hold(self) -> None:
        """From here on it may be a call: should it not be one, it is text."""
        self._held = self._at

    def drop(self) -> None:
        """What was held was markup."""
        if self._held is not None:
            space = _SPACES.match(self._text, self._held, self._at)  # no more than was taken
            self._gap = self._gap or (space.group() if space else "")
            self._held = None

    def restore(self) -> None:
        """Go back to where holding began."""
        if self._held is not None:
            self._at, self._held = self._held, None

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
        if end > self._at:
            text = self._text[self._at : end]
            if kind is Text:
                text = self._gap + text if self.has_text else text
                self._gap, self.has_text = "", True
            self._parts.append(kind(text, self._before + end))
            self._at = end
            self._is_after_call = False

    # --- telling calls

    def start_call(self, name: str, call_id: str | None = None) -> None:
        self.drop()
        self._call = []
        self.n_calls += 1
        self._parts.append(CallStart(name, call_id))

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
        self._parts.append(CallEnd(is_whole))


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
