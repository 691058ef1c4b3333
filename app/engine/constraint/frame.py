"""What may stand around a constrained answer: thought before it, tool calls beside or instead of
it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from app.chat.lark import Lark, one_of, token
from app.core.messages import Tool
from app.engine.constraint.vocabulary import Vocabulary


class WriteCalls(Protocol):
    """A call syntax's `write`: see `chat.lark`."""

    def __call__(self, lark: Lark, opener: str, tools: Sequence[Tool], /, *, many: bool) -> str: ...


@dataclass(frozen=True, slots=True)
class Calls:
    """The tools that may be called. `openers`: what a call begins with; `must`: an answer is made
    of calls; `many`: of more than one, if the model likes."""

    write: WriteCalls
    openers: tuple[str, ...]
    tools: tuple[Tool, ...]
    must: bool = False
    many: bool = True


@dataclass(frozen=True, slots=True)
class Frame:
    """The shape of an answer around its format, or without one.

    `thought`: the answer starts inside a thought (`open`), may start with one (`optional`), or
    has none (`none`). `calls` None where no tool may be called. With a format, an answer is the
    format or calls; without one, text and calls in any order.
    """

    thought: Literal["none", "optional", "open"] = "none"
    think_open: str = ""
    think_close: str = ""
    calls: Calls | None = None

    def openers(self, vocabulary: Vocabulary) -> tuple[int, ...]:
        """The tokens that lead away from the format: into a thought or a call that need not be."""
        texts = [self.think_open] if self.thought == "optional" else []
        texts += self.calls.openers if self.calls is not None and not self.calls.must else ()
        found = (vocabulary.find(text) for text in texts)
        return tuple(one for one in found if one is not None)

    def wrap(self, vocabulary: Vocabulary, *, has_body: bool) -> str | None:
        """A Lark grammar around the grammar named `body`, or without one; None where nothing is
        held to anything, or the body needs nothing around it.

        Between the thought and what is held to a format a few blanks may stand.
        """
        if self.calls is None and (self.thought == "none" or not has_body):
            return None
        return _Writer(self, vocabulary).write(has_body=has_body)


class _Writer:
    def __init__(self, frame: Frame, vocabulary: Vocabulary) -> None:
        self._frame = frame
        self._vocabulary = vocabulary
        self._lark = Lark(vocabulary.spell)

    def write(self, *, has_body: bool) -> str:
        calls = self._frame.calls
        if calls is None:
            start = self._after_thought("@body")
        elif calls.must:
            start = self._after_thought(self._only_calls(calls))
        elif has_body:
            start = self._after_thought(one_of("@body", self._only_calls(calls)))
        else:
            start = self._free(calls)
        return f"start: {start}\n{self._lark.rules}"

    def _after_thought(self, answer: str) -> str:
        frame, lark = self._frame, self._lark
        if frame.thought == "none":
            return answer
        close = lark.until(frame.think_close, beside=self._beside(frame.think_close))
        thought = f"{close} {lark.blanks}"
        if frame.thought == "optional":
            thought = f"({lark.text(frame.think_open)} {thought})?"
        return f"{thought} {answer}"

    def _only_calls(self, calls: Calls) -> str:
        """From the first token on."""
        lark = self._lark
        opener = calls.openers[0]
        call = lark.rule(f"{lark.text(opener)} {self._rest(calls, opener)}")
        return f"{call} ({lark.space} {call})*" if calls.many else call

    def _free(self, calls: Calls) -> str:
        """Anything, until a call is opened. An answer may be nothing but a thought."""
        frame, lark = self._frame, self._lark
        is_optional = frame.thought == "optional"
        beside = self._beside(*calls.openers, frame.think_open if is_optional else "")
        ways = (f"{lark.until(o, beside=beside)} {self._rest(calls, o)}" for o in calls.openers)
        call, prose = one_of(*ways), lark.prose(beside)
        answer = lark.rule(f"({call})* {prose}" if calls.many else one_of(call, prose))
        if frame.thought == "none":
            return answer
        beside = self._beside(frame.think_close)
        close = lark.until(frame.think_close, beside=beside)
        thinking = one_of(f"{close} {answer}", lark.prose(beside))
        if not is_optional:
            return thinking
        return one_of(f"{lark.until(frame.think_open, text=lark.blanks)} {thinking}", answer)

    def _rest(self, calls: Calls, opener: str) -> str:
        return self._lark.rule(calls.write(self._lark, opener, calls.tools, many=calls.many))

    def _beside(self, *markers: str) -> str:
        """The special tokens that may stand in free text: all but the end and some markers."""
        vocabulary = self._vocabulary
        tokens = vocabulary.special - vocabulary.ends - {vocabulary.find(m) for m in markers}
        return self._lark.rule(token(*tokens)) if tokens else ""
