"""An answer in a terminal, drawn while it comes.

Finished parts are printed above and scroll away like any other text. What may still change is drawn
below them, never taller than the screen, and replaced in one write: nothing flickers.
"""

import time
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from app.cli.chat.blocks import Part, split
from app.cli.chat.markdown import AnswerMarkdown, Line, Lines, render
from app.cli.chat.turn import Piece
from app.cli.styles import make_styles
from app.cli.text import clean
from app.cli.theme import Theme

_WHEEL = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_WHEEL_SECONDS = 0.1
_DIM = Style(dim=True)
_THOUGHT = Style(dim=True, italic=True)


@dataclass(slots=True)
class Look:
    """How answers are drawn. `shows_thoughts`: else they are folded to one line."""

    is_markdown: bool = True
    shows_thoughts: bool = True
    theme: Theme = "light"


class LiveDisplay:
    def __init__(self, look: Look, console: Console | None = None) -> None:
        self._look = look
        self._console = console or Console(highlight=False, soft_wrap=False)
        self._live: Live | None = None
        self._clear()

    def begin(self, what: str) -> None:
        self._clear()
        self._what = what
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._console.push_theme(make_styles(self._look.theme))
        self._live.start()
        self.tick()

    def show(self, piece: Piece) -> None:
        """Take it in; the next tick draws it."""
        self._what = piece.news or self._what
        if piece.thought:
            self._thought += clean(piece.thought)
        if piece.text:
            self._end_thought()
            text = clean(piece.text)
            self._rest = Part(
                self._rest.text + (text if self._has_text else text.lstrip("\n")),
                self._rest.is_joined,
            )
            self._has_text |= bool(self._rest.text.strip())
        self._is_new = True

    def tick(self) -> None:
        if self._live is None:
            return
        if self._is_new:
            self._is_new = False
            self._take_done()
        self._draw(self._tail())

    def end(self) -> None:
        if self._live is None:
            return
        self._end_thought()
        self._take_done()
        if self._rest.text.strip():
            self._take(self._render(self._rest), self._rest.is_joined)
        self._draw([])
        self._live.stop()
        self._console.pop_theme()
        self._live = None
        self._clear()

    def _draw(self, tail: list[Line]) -> None:
        """What is done above, the tail below it, in one write: nothing is seen in between."""
        if self._live is None:
            return
        self._live.update(Lines(tail))
        if self._done:
            self._console.print(Lines(self._done), end="")
            self._done = []
        else:
            self._live.refresh()

    def _clear(self) -> None:
        self._what = ""
        self._began = time.monotonic()
        self._thought = ""
        self._thought_seconds: float | None = None
        self._rest = Part("")
        self._has_text = False
        self._done: list[Line] = []
        self._has_printed = False
        self._is_new = False

    def _end_thought(self) -> None:
        """Text follows: what was thought is done, or folded to what it took."""
        if not self._thought.strip() or self._thought_seconds is not None:
            return
        self._thought_seconds = time.monotonic() - self._began
        if self._look.shows_thoughts:
            self._take(self._thought_lines())
        else:
            told = f"thought for {self._thought_seconds:.1f} seconds"
            self._take([[Segment(told, _DIM)]])

    def _take_done(self) -> None:
        """Take from the rest what will not change any more."""
        if not self._look.is_markdown:
            whole, newline, rest = self._rest.text.rpartition("\n")
            if newline:
                self._take(self._render(Part(whole)), is_joined=self._rest.is_joined)
                self._rest = Part(rest, is_joined=True)
            return
        tokens = AnswerMarkdown(self._rest.text, self._look.theme).parsed
        done, self._rest = split(self._rest, tokens, self._height)
        for part in done:
            self._take(self._render(part), part.is_joined)

    def _take(self, lines: list[Line], is_joined: bool = False) -> None:
        """To be printed for good with the next drawing."""
        if not lines:
            return
        gap: list[Line] = [[]] if self._has_printed and not is_joined else []
        self._done += [*gap, *lines]
        self._has_printed = True

    def _tail(self) -> list[Line]:
        """What is drawn below: the end of what may change, or a wheel while nothing comes."""
        if self._rest.text.strip():
            gap: list[Line] = [[]] if self._has_printed and not self._rest.is_joined else []
            return [*gap, *self._render(self._rest)][-self._height :]
        if self._thought_seconds is None and self._thought.strip() and self._look.shows_thoughts:
            return self._thought_lines()[-self._height :]
        return [] if self._has_text else [self._wheel()]

    @property
    def _height(self) -> int:
        """Lines that may be drawn again and again."""
        return max(self._console.height - 2, 1)

    def _wheel(self) -> Line:
        seconds = time.monotonic() - self._began
        frame = _WHEEL[int(seconds / _WHEEL_SECONDS) % len(_WHEEL)]
        what = "thinking" if self._thought else self._what
        return [Segment(f"{frame} {what} {seconds:.0f} s", _DIM)]

    def _thought_lines(self) -> list[Line]:
        return self._wrap(self._thought.strip(), _THOUGHT)

    def _render(self, part: Part) -> list[Line]:
        if self._look.is_markdown:
            return render(AnswerMarkdown(part.text, self._look.theme), self._console)
        return self._wrap(part.text)

    def _wrap(self, text: str, style: Style | None = None) -> list[Line]:
        wrapped = Text(text, style=style or "")
        return [*self._console.render_lines(wrapped, pad=False)]
