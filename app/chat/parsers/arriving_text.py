"""Text that has not all arrived yet, and taking it.

A reader of a format is a generator over a `Scanner`, which is such a text that also tells what was
read. A reader takes characters and yields whenever it needs text that is not there. Nothing it does
may depend on how much text happens to be there, so that what it finds is the same however the text
was cut.
"""

import re
from collections.abc import Callable, Generator
from typing import TypeVar

from app.chat.parsers.markers import Markers

T = TypeVar("T")
Steps = Generator[None, None, T]
"""Yields when it needs more text, returns what it has read."""

SPACE = " \t\r\n"


class Malformed(Exception):
    """The text is not what the format wants. What shows it was not taken."""


class ArrivingText:
    """The text of one answer while it arrives. What is held is kept, to go back to."""

    def __init__(self) -> None:
        self._text = ""
        self._at = 0  # where reading goes on in `_text`
        self._before = 0  # characters of the answer before `_text`; below 0 where a prompt began it
        self._held: int | None = None  # where that begins which may have to be read otherwise
        self._is_over = False

    # --- for who feeds it

    def begin_with(self, text: str) -> None:
        """What of the answer the prompt has. It is read like the rest, and is no text of it."""
        self._text = text
        self._before = -len(text)

    def add(self, text: str) -> None:
        start = self._at if self._held is None else self._held
        self._text = self._text[start:] + text
        self._before += start
        self._at -= start
        self._held = None if self._held is None else 0

    def end(self) -> None:
        """There will be no more text."""
        self._is_over = True

    # --- for readers

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

    def hold(self) -> None:
        """From here on it may be a call: should it not be one, it is text."""
        self._held = self._at

    def restore(self) -> None:
        """Go back to where holding began."""
        if self._held is not None:
            self._at, self._held = self._held, None

    def _may_become(self, literal: str) -> bool:
        """What is there is shorter than `literal` and begins like it."""
        left = self._text[self._at : self._at + len(literal)]
        return len(left) < len(literal) and literal.startswith(left)
