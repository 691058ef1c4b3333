"""The usual order of an answer: a thought, then text with tool calls."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from app.chat.parsers.base import Part, Reasoning
from app.chat.parsers.markers import Markers
from app.chat.parsers.scanner import Malformed, Scanner, Steps
from app.chat.parsers.toolbox import Toolbox


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
    """The markers of a thinking block."""

    open: str
    close: str

    def is_open(self, prompt: str) -> bool:
        """Whether the end of a prompt has left a thought open."""
        return prompt.rfind(self.open) > prompt.rfind(self.close)


@dataclass(frozen=True, slots=True)
class Envelope:
    """Reasoning counts only at the start of an answer. `calls` None: calls are text."""

    thought: Thought | None
    calls: CallSyntax | None
    toolbox: Toolbox
    starts_in_thought: bool = False

    def read(self, scan: Scanner) -> Steps[None]:
        if self.thought is not None:
            yield from self._read_thought(scan, self.thought)
        openers = self.calls.openers if self.calls else Markers()
        while (opener := (yield from scan.tell_until(openers))) is not None:
            if self.calls is not None:
                try:
                    yield from self.calls.read(scan, opener, self.toolbox)
                except Malformed:
                    scan.refuse()

    def _read_thought(self, scan: Scanner, thought: Thought) -> Steps[None]:
        if not self.starts_in_thought:
            scan.hold()
            yield from scan.skip_space()
            if not (yield from scan.try_take(thought.open)):
                scan.restore()
                return
        scan.is_reasoning = True
        marker = yield from scan.tell_until(Markers(thought.close), Reasoning)
        scan.is_reasoning = False
        if marker is not None:
            scan.drop()
            yield from scan.skip_space()


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
