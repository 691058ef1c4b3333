"""What answers are made of: calls, thoughts and text, and the markers around them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from app.chat.lark import Lark, Sign
from app.chat.parsers.base import Reasoning
from app.chat.parsers.markers import Markers
from app.chat.parsers.scanner import SPACE, Scanner, Steps
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


@runtime_checkable
class FindsCalls(Protocol):
    """Calls that free text shows without a marker."""

    def find(self, lark: Lark, tools: Sequence[Tool], /, *, many: bool) -> Iterator[Sign]: ...


class Layout(Protocol):
    """An order of thoughts, text and calls of its own."""

    markers: ClassVar[tuple[str, ...]]
    """All fixed texts, some of which a vocabulary may have as control tokens."""

    def __init__(self, toolbox: Toolbox, prompt_end: str) -> None: ...

    @property
    def open_call(self) -> str:
        """The call that the end of the prompt leaves open, from its opener on; empty for none."""
        ...

    def read(self, scan: Scanner, /) -> Steps[None]:
        """One answer to a prompt that ends with `prompt_end`."""
        ...


@dataclass(frozen=True, slots=True)
class Thought:
    """The markers of a thinking block.

    `label`: a word that may stand after `open`. `ends_at_call`: also what opens a call, or the
    reply, closes it. `recurs`: there may be thoughts after the first text too.
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

    def after(self, prompt: str) -> str:
        """What of the end of a prompt stands after its last thought."""
        return prompt.rpartition(self.close)[2]

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
    """The markers that some models put around their text. Without `open`, the text just begins.

    `pad` is what they put between the markers and the text. `follows_thought`: there are none where
    there was no thought.
    """

    open: str
    close: str = ""
    pad: str = ""
    follows_thought: bool = False

    @property
    def lead(self) -> str:
        """What stands before the text."""
        return f"{self.open}{self.pad}" if self.open else ""

    @property
    def tail(self) -> str:
        """What stands after the text."""
        return f"{self.pad}{self.close}" if self.close else ""

    def is_open(self, prompt: str) -> bool:
        """Whether the end of a prompt has opened it."""
        opened = prompt.rfind(self.open) if self.open else -1
        return opened >= 0 and (not self.close or opened > prompt.rfind(self.close))
