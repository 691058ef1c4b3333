"""What may stand around a constrained answer: thought before it, tool calls beside or instead of
it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from app.chat.lark import Lark, Outset, Sign, one_of, token
from app.chat.parsers.answer import Reply
from app.core.messages import Tool
from app.engine.constraint.vocabulary import Vocabulary


class WriteCalls(Protocol):
    """A call syntax's `write`: see `chat.lark`."""

    def __call__(self, lark: Lark, opener: str, tools: Sequence[Tool], /, *, many: bool) -> str: ...


class FindCalls(Protocol):
    """A call syntax's `find`: what shows calls that have no marker."""

    def __call__(self, lark: Lark, tools: Sequence[Tool], /, *, many: bool) -> Iterator[Sign]: ...


@dataclass(frozen=True, slots=True)
class Calls:
    """The tools that may be called. `openers`: what a call begins with; `must`: an answer is made
    of calls; `many`: of more than one, if the model likes. `prompt_end`: it may have begun an
    opener, which the answer then only has to finish; or a whole call, which is `open_call` then.
    `find`: what shows calls in free text beside openers; `outset`: how answers are written that
    begin with a call, if not with an opener."""

    write: WriteCalls
    openers: tuple[str, ...]
    tools: tuple[Tool, ...]
    must: bool = False
    many: bool = True
    prompt_end: str = ""
    open_call: str = ""
    find: FindCalls | None = None
    outset: Outset | None = None

    @property
    def entered(self) -> str:
        """What the prompt has of the answer's first call, its whole opener at least."""
        whole = self.openers[:1] if self.must and self.prompt_end.endswith(self.openers[0]) else ()
        is_whole = self.open_call.startswith(self.openers)
        return self.open_call if is_whole else "".join(whole)

    @property
    def begun(self) -> dict[str, str]:
        """Openers by what the prompt has left of them."""
        return {
            opener[at:]: opener
            for opener in self.openers
            for at in range(1, len(opener))
            if self.prompt_end.endswith(opener[:at])
        }


@dataclass(frozen=True, slots=True)
class Frame:
    """The shape of an answer around its format, or without one.

    `thought`: the answer starts inside a thought (`open`), may start with one (`optional`), or
    has none (`none`); with `ends_at_call` what opens a call closes it too. `calls` None where no
    tool may be called. `turn`: what stands between a thought and the rest, blanks if it is blank;
    `reply`: around a format. With a format, an answer is the format or calls; without one, text and
    calls in any order.
    """

    thought: Literal["none", "optional", "open"] = "none"
    think_open: str = ""
    think_close: str = ""
    calls: Calls | None = None
    ends_at_call: bool = False
    turn: str = ""
    reply: Reply | None = None

    def openers(self, vocabulary: Vocabulary) -> tuple[int, ...]:
        """The tokens that lead away from the format: into a thought or a call that need not be."""
        texts = [self.think_open] if self.thought == "optional" else []
        texts += self.calls.openers if self.calls is not None and not self.calls.must else ()
        found = (vocabulary.find(text) for text in texts)
        return tuple(one for one in found if one is not None)

    def wrap(self, vocabulary: Vocabulary, *, has_body: bool, knows_end: bool = True) -> str | None:
        """A Lark grammar around the grammar named `body`, or without one; None where nothing is
        held to anything, or the body needs nothing around it. `knows_end`: what follows the body
        cannot be taken for more of it.

        Between the thought and what is held to a format a few blanks may stand.
        """
        needs_nothing = self.thought == "none" and self.reply is None
        if self.calls is None and (needs_nothing or not has_body):
            return None
        return _Writer(self, vocabulary, knows_end=knows_end).write(has_body=has_body)


class _Writer:
    def __init__(self, frame: Frame, vocabulary: Vocabulary, *, knows_end: bool) -> None:
        self._frame = frame
        self._knows_end = knows_end
        self._vocabulary = vocabulary
        self._lark = Lark(vocabulary.spell, vocabulary.ends)

    def write(self, *, has_body: bool) -> str:
        calls = self._frame.calls
        if calls is not None and calls.must:
            start = self._after_thought(self._only_calls(calls))
        elif calls is not None and not has_body:
            start = self._free(calls)
        else:
            instead = [self._only_calls(calls)] if calls is not None else []
            reply, is_late = (
                self._in_reply(),
                self._frame.reply and self._frame.reply.follows_thought,
            )
            start = self._after_thought(
                one_of(reply, *instead), one_of("@body" if is_late else reply, *instead)
            )
        return f"start: {start}\n{self._lark.rules}"

    def _in_reply(self) -> str:
        """The format with its markers. One that may go on for ever could take the text of the
        closing marker for its own, and must be able to end without."""
        lark, reply = self._lark, self._frame.reply
        if reply is None:
            return "@body"
        tail = lark.text(reply.tail)
        is_sure = self._knows_end or self._vocabulary.begins_with_token(reply.tail)
        return f"{lark.text(reply.lead)} @body {tail if is_sure or not tail else f'({tail})?'}"

    def _after_thought(self, answer: str, otherwise: str = "") -> str:
        """`otherwise`: the answer where there is no thought."""
        frame, lark = self._frame, self._lark
        otherwise = otherwise or answer
        if frame.thought == "none":
            return otherwise
        beside = self._beside_thought()
        turn = lark.text(frame.turn) if frame.turn.strip() else lark.blanks
        thinking = f"{lark.until(frame.think_close, beside=beside)} {turn} {answer}"
        if frame.calls is not None and frame.ends_at_call:
            call = f"{self._opened(frame.calls, beside)} {self._more(frame.calls)}"
            thinking = one_of(thinking, call)
        if frame.thought == "open":
            return thinking
        return one_of(f"{lark.text(frame.think_open)} {thinking}", otherwise)

    def _only_calls(self, calls: Calls) -> str:
        """From the first token on, or from what the prompt has begun."""
        lark, outset = self._lark, calls.outset
        if outset is not None:
            message = lark.rule(outset.write(lark, calls.tools))
            more = f"({lark.text(outset.again)} {message})*" if calls.many else ""
            return f"{lark.text(outset.open)} {message} {more}"
        opener = calls.openers[0]
        ways = [f"{lark.text(opener)} {self._rest(calls, opener)}"]
        ways += (f"{lark.text(left)} {self._rest(calls, o)}" for left, o in calls.begun.items())
        return f"{lark.rule(one_of(*ways))} {self._more(calls)}"

    def _more(self, calls: Calls) -> str:
        lark, opener = self._lark, calls.openers[0]
        call = f"{lark.space} {lark.text(opener)} {self._rest(calls, opener)}"
        return f"({call})*" if calls.many else ""

    def _free(self, calls: Calls) -> str:
        """Anything, until a call is opened. An answer may be nothing but a thought."""
        frame, lark = self._frame, self._lark
        is_optional = frame.thought == "optional"
        # of longer ones the tokens may begin something else
        is_token = is_optional and self._vocabulary.find(frame.think_open) is not None
        beside = self._beside(*calls.openers, frame.think_open if is_token else "")
        call, prose = self._opened(calls, beside), lark.prose(beside)
        almost = self._almost_opened(calls, beside)
        one = f"{almost} {one_of(call, prose)}"
        answer = lark.rule(f"({almost} {call})* {almost} {prose}" if calls.many else one)
        first = one_of(answer, *self._begun(calls, answer if calls.many else ""))
        if frame.thought == "none":
            return first
        beside = self._beside_thought()
        ways = [f"{lark.until(frame.think_close, beside=beside)} {answer}", lark.prose(beside)]
        if frame.ends_at_call:
            ways.append(f"{self._opened(calls, beside)} {answer if calls.many else ''}")
        thinking = one_of(*ways)
        if not is_optional:
            return thinking
        return one_of(f"{lark.until(frame.think_open, text=lark.blanks)} {thinking}", first)

    def _begun(self, calls: Calls, then: str) -> Iterator[str]:
        lark = self._lark
        for left, opener in calls.begun.items():
            yield f"{lark.until(left, text=lark.blanks)} {self._rest(calls, opener)} {then}"

    def _opened(self, calls: Calls, beside: str) -> str:
        """Any text, and then a call."""
        lark = self._lark
        ways = [f"{lark.until(o, beside=beside)} {self._rest(calls, o)}" for o in calls.openers]
        if signs := self._find(calls):
            ways.append(lark.one_until(((sign.start, sign.rest) for sign in signs), beside))
        return one_of(*ways)

    def _find(self, calls: Calls) -> list[Sign]:
        if calls.find is None:
            return []
        return list(calls.find(self._lark, calls.tools, many=calls.many))

    def _almost_opened(self, calls: Calls, beside: str) -> str:
        """Any text, and then what begins like a call and is none; empty where there is no such."""
        ways = [(sign.start, sign.other) for sign in self._find(calls) if sign.other]
        return f"({self._lark.one_until(ways, beside)})*" if ways else ""

    def _beside_thought(self) -> str:
        frame = self._frame
        ends = frame.calls.openers if frame.calls is not None and frame.ends_at_call else ()
        return self._beside(frame.think_close, *ends)

    def _rest(self, calls: Calls, opener: str) -> str:
        return self._lark.rule(calls.write(self._lark, opener, calls.tools, many=calls.many))

    def _beside(self, *markers: str) -> str:
        """The special tokens that may stand in free text: all but the end and some markers. A token
        that begins markers may stand there too, where the rest of none of them follows."""
        vocabulary = self._vocabulary
        rests: dict[int, list[str | int]] = {}
        for first, *rest in filter(None, map(vocabulary.spell, markers)):
            if isinstance(first, int):
                rests.setdefault(first, []).append(rest[0] if rest else "")
        others = vocabulary.special - vocabulary.ends - rests.keys()
        ways = [token(*others)] if others else []
        for first, seconds in rests.items():
            if "" not in seconds:
                ways += self._not_followed(first, seconds, others)
        return self._lark.rule(one_of(*ways)) if ways else ""

    def _not_followed(
        self, first: int, seconds: Sequence[str | int], others: frozenset[int]
    ) -> Iterator[str]:
        """A token that begins a marker, and what shows that it does not here."""
        tokens = others - set(seconds)
        yield f"{token(first)} {self._lark.other([s for s in seconds if isinstance(s, str)])}"
        if tokens != others and tokens:
            yield f"{token(first)} {token(*tokens)}"
