"""The usual order of an answer: a thought, then text with tool calls."""

from collections.abc import Callable
from dataclasses import dataclass

from app.chat.parsers.answer import CallSyntax, Reply, Thought
from app.chat.parsers.base import Part, Reasoning, Text
from app.chat.parsers.markers import Markers
from app.chat.parsers.scanner import Malformed, Scanner, Steps
from app.chat.parsers.toolbox import Toolbox

# What looks like an opener in the beginning of an answer and is none; more is not looked at.
_MOST_OPENERS = 1000


@dataclass(frozen=True, slots=True)
class Envelope:
    """Reasoning counts only at the start of an answer, unless it recurs. Without tools calls are
    text, and end no thought. `strays`: markup between the parts that says nothing; `call_strays`:
    around calls. `thoughts`: in one of these a model may think. `bare`: how calls are written
    without markers.

    What the prompt has of the answer: `begun`, of a thought that it leaves open, the first of
    `thoughts`; `open_call`, of a call; `has_reply_begun`, that of the text.
    """

    thoughts: tuple[Thought, ...]
    calls: CallSyntax
    toolbox: Toolbox
    reply: Reply | None = None
    strays: tuple[str, ...] = ()
    call_strays: tuple[str, ...] = ()
    bare: CallSyntax | None = None
    begun: str | None = None
    open_call: str = ""
    has_reply_begun: bool = False

    def read(self, scan: Scanner) -> Steps[None]:
        openers = self.calls.openers.texts if self.toolbox else ()
        call_marks = (*openers, *self.call_strays) if self.toolbox else ()
        bare = self.bare.openers.texts if self.bare and self.toolbox else ()
        scan.begin_with(self.open_call)
        thought_ends = (*call_marks, self.reply.open) if self.reply else call_marks
        thought, is_broken_off = yield from self._read_thought(scan, thought_ends)
        close = yield from self._open_reply(scan)
        is_broken_off = is_broken_off and not close
        recurring = thought.open if thought and thought.recurs else ""
        markers = Markers(*call_marks, *bare, *self.strays, close, recurring)
        while (marker := (yield from scan.tell_until(markers))) is not None:
            was_broken_off, is_broken_off = is_broken_off, False
            if thought and marker == recurring:
                is_broken_off = yield from thought.read(scan, thought_ends)
                continue
            if marker not in (*openers, *bare):
                scan.drop()
                continue
            is_call = yield from self._read_call(scan, marker, in_thought=was_broken_off)
            if thought and was_broken_off and not is_call:
                is_broken_off = yield from thought.go_on(scan, thought_ends)

    def find_open_call(self, text: str) -> str:
        """What of `text` belongs to a call that its end leaves open, from its opener on, or to the
        opener of one; empty where there is none."""
        bare = self.bare.openers.texts if self.bare else ()
        openers = Markers(*self.calls.openers.texts, *bare)
        at = 0
        for _ in range(_MOST_OPENERS):
            found = openers.find(text, at, is_over=True)
            if found is None:
                break
            start, at = found
            if self._leaves_open(text, start, at):
                return text[start:]
        return text[openers.safe_end(text, 0) :]

    def _leaves_open(self, text: str, start: int, end: int) -> bool:
        """Whether the call whose opener stands from `start` to `end` goes on after the text."""
        scan = Scanner()
        scan.begin_with(text)
        scan.skip(end)
        opener = text[start:end]
        steps = self._syntax(opener).read(scan, opener, self.toolbox)
        try:
            next(steps)
        except (Malformed, StopIteration):
            return False
        return True

    def _read_thought(
        self, scan: Scanner, ends: tuple[str, ...]
    ) -> Steps[tuple[Thought | None, bool]]:
        """Returns the thought whose markers hold from here on, and whether a call seems to have
        closed it."""
        first = self.thoughts[0] if self.thoughts else None
        if self.open_call:
            return first, self.begun is not None
        if first and self.begun is not None:
            return first, (yield from first.read(scan, ends, self.begun))
        for thought in self.thoughts:
            if (yield from _try(scan, thought.open)):
                return thought, (yield from thought.read(scan, ends))
        for thought in self.thoughts:
            if (yield from _try(scan, thought.close)):
                yield from scan.skip_space()  # the thought was left out
                break
        return first, False

    def _read_call(self, scan: Scanner, opener: str, *, in_thought: bool) -> Steps[bool]:
        """Returns whether a call was told: what only looked like one `in_thought` belongs to it."""
        before = scan.n_calls
        try:
            yield from self._syntax(opener).read(scan, opener, self.toolbox)
            scan.drop()
        except Malformed:
            is_thought = in_thought and scan.n_calls == before
            scan.refuse(Reasoning if is_thought else Text)
        return scan.n_calls > before

    def _syntax(self, opener: str) -> CallSyntax:
        is_marked = self.bare is None or opener in self.calls.openers.texts
        return self.calls if is_marked or self.bare is None else self.bare

    def _open_reply(self, scan: Scanner) -> Steps[str]:
        """Returns what closes the text."""
        if self.reply is None:
            return ""
        is_open = self.has_reply_begun or self.open_call
        if self.reply.open and not is_open:
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
