"""The usual order of an answer: a thought, then text with tool calls."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from app.chat.lark import Lark
from app.chat.parsers.base import Part, Reasoning, Text
from app.chat.parsers.markers import Markers
from app.chat.parsers.scanner import SPACE, Malformed, Scanner, Steps
from app.chat.parsers.toolbox import Toolbox
from app.core.messages import Tool


class CallSyntax(Protocol):
    """How a family of models writes tool calls."""

    @property
    def openers(self) -> Markers:
        """What a call, or a list of calls, begins with."""
        ...

    @property
    def markers(self) -> tuple[str, ...]:
        """All fixed texts, some of which a vocabulary may have as control tokens."""
        ...

    def read(self, scan: Scanner, opener: str, toolbox: Toolbox, /) -> Steps[None]:
        """After `opener`: the calls up to and with what closes them. Raises Malformed."""
        ...


@runtime_checkable
class WritesCalls(Protocol):
    """Calls that models can be held to."""

    @property
    def openers(self) -> Markers: ...

    def write(self, lark: Lark, opener: str, tools: Sequence[Tool], /, *, many: bool) -> str:
        """The grammar of what follows `opener`: see `chat.lark`."""
        ...


class Layout(Protocol):
    """An order of thoughts, text and calls of its own."""

    markers: ClassVar[tuple[str, ...]]
    """All fixed texts, some of which a vocabulary may have as control tokens."""

    def __init__(self, toolbox: Toolbox, prompt_end: str) -> None: ...

    def read(self, scan: Scanner, /) -> Steps[None]:
        """One answer to a prompt that ends with `prompt_end`."""
        ...


@dataclass(frozen=True, slots=True)
class Thought:
    """The markers of a thinking block.

    `label`: a word that may stand after `open`. `ends_at_call`: also what opens a call closes it.
    `recurs`: there may be thoughts after the first text too.
    """

    open: str
    close: str
    label: str = ""
    ends_at_call: bool = False
    recurs: bool = False

    def is_open(self, prompt: str) -> bool:
        """Whether the end of a prompt has left a thought open."""
        return self.left_open(prompt) is not None

    def has_ended(self, prompt: str) -> bool:
        """Whether the end of a prompt has closed a thought, perhaps one that nothing opened. What
        closes thoughts may close other messages too."""
        opened = prompt.rfind(self.open)
        if opened >= 0:
            return prompt.rfind(self.close) > opened
        return prompt.rstrip().endswith(self.close)

    def left_open(self, prompt: str) -> str | None:
        """The beginning of a thought that the end of a prompt has left open, if it has."""
        at = prompt.rfind(self.open)
        return prompt[at + len(self.open) :] if at > prompt.rfind(self.close) else None

    def read(self, scan: Scanner, call_marks: tuple[str, ...], begun: str = "") -> Steps[bool]:
        """After `open` and the beginning that the prompt has. Some models write `open` again where
        the prompt did. Returns whether a call seems to have closed it."""
        scan.drop()
        scan.is_reasoning = True
        goes_on = bool(begun.strip())
        if not goes_on:
            yield from scan.skip_space()
        while (yield from scan.try_take(self.open)):
            yield from scan.skip_space()
        if self.label:
            yield from self._skip_label(scan)
        return (yield from self.go_on(scan, call_marks, goes_on=goes_on))

    def go_on(
        self, scan: Scanner, call_marks: tuple[str, ...], *, goes_on: bool = True
    ) -> Steps[bool]:
        """The rest of a thought. Returns what `read` does."""
        scan.is_reasoning = True
        ends = (self.close, *(call_marks if self.ends_at_call else ()))
        marker = yield from scan.tell_until(Markers(*ends), Reasoning, goes_on=goes_on)
        scan.is_reasoning = False
        if marker == self.close:
            scan.drop()
            if not scan.has_text:
                yield from scan.skip_space()
            return False
        scan.restore()
        return marker is not None

    def _skip_label(self, scan: Scanner) -> Steps[None]:
        scan.hold()
        if (yield from scan.try_take(self.label)):
            after = yield from scan.peek()
            if not after or after in SPACE or self.close.startswith(after):
                scan.drop()
        scan.restore()


@dataclass(frozen=True, slots=True)
class Reply:
    """The markers that some models put around their text. Without `open`, the text just begins."""

    open: str
    close: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """Reasoning counts only at the start of an answer, unless it recurs. Without tools calls are
    text. `strays`: markup between the parts that says nothing; `call_strays`: around calls.
    `begun`: the beginning of a thought that the prompt has left open. `bare`: how calls are written
    without markers."""

    thought: Thought | None
    calls: CallSyntax
    toolbox: Toolbox
    reply: Reply | None = None
    strays: tuple[str, ...] = ()
    call_strays: tuple[str, ...] = ()
    begun: str | None = None
    bare: CallSyntax | None = None

    def read(self, scan: Scanner) -> Steps[None]:
        thought, openers = self.thought, self.calls.openers.texts
        call_marks = (*openers, *self.call_strays)
        bare = self.bare.openers.texts if self.bare else ()
        is_broken_off = False
        if thought and (self.begun is not None or (yield from _try(scan, thought.open))):
            is_broken_off = yield from thought.read(scan, call_marks, self.begun or "")
        elif thought and (yield from _try(scan, thought.close)):
            yield from scan.skip_space()  # the thought was left out
        close = yield from self._open_reply(scan)
        recurring = thought.open if thought and thought.recurs else ""
        markers = Markers(
            *((*call_marks, *bare) if self.toolbox else ()), *self.strays, close, recurring
        )
        while (marker := (yield from scan.tell_until(markers))) is not None:
            was_broken_off, is_broken_off = is_broken_off, False
            if thought and marker == recurring:
                is_broken_off = yield from thought.read(scan, call_marks)
                continue
            if marker not in (*openers, *bare):
                scan.drop()
                continue
            is_call = yield from self._read_call(scan, marker, in_thought=was_broken_off)
            if thought and was_broken_off and not is_call:
                is_broken_off = yield from thought.go_on(scan, call_marks)

    def _read_call(self, scan: Scanner, opener: str, *, in_thought: bool) -> Steps[bool]:
        """Returns whether a call was told: what only looked like one `in_thought` belongs to it."""
        before = scan.n_calls
        syntax = self.calls
        if self.bare is not None and opener not in syntax.openers.texts:
            syntax = self.bare
        try:
            yield from syntax.read(scan, opener, self.toolbox)
            scan.drop()
        except Malformed:
            is_thought = in_thought and scan.n_calls == before
            scan.refuse(Reasoning if is_thought else Text)
        return scan.n_calls > before

    def _open_reply(self, scan: Scanner) -> Steps[str]:
        """Returns what closes the text."""
        if self.reply is None:
            return ""
        if self.reply.open:
            if not (yield from _try(scan, self.reply.open)):
                return ""
            yield from scan.skip_space()
        return self.reply.close


def _try(scan: Scanner, marker: str) -> Steps[bool]:
    """Take a marker with the white space before it, or nothing."""
    scan.hold()
    yield from scan.skip_space()
    if (yield from scan.try_take(marker)):
        scan.drop()
        return True
    scan.restore()
    return False


class AnswerParser:
    """Runs a reader over one answer."""

    def __init__(self, name: str, read: Callable[[Scanner], Steps[None]]) -> None:
        self.name = name
        self._scan = Scanner()
        self._steps = read(self._scan)
        next(self._steps)  # up to where it needs text

    @property
    def is_reasoning(self) -> bool:
        return self._scan.is_reasoning

    @property
    def malformed(self) -> int:
        return self._scan.malformed

    def feed(self, text: str) -> list[Part]:
        self._scan.add(text)
        next(self._steps, None)
        return self._scan.take_parts()

    def finish(self) -> list[Part]:
        self._scan.end()
        next(self._steps, None)
        return self._scan.take_parts()
