"""What a parser finds becomes neutral events."""

from collections.abc import Callable
from dataclasses import dataclass

from app.chat.parsers.base import CallArguments, CallEnd, CallStart, Part, Reasoning, Text
from app.core.events import (
    Event,
    ReasoningDelta,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from app.core.ids import make_id


def make_call_id() -> str:
    return make_id("call_")


@dataclass(slots=True)
class PartReader:
    """Counts the calls of one answer and names them.

    `make_id`: for calls whose format carries no id. `take_logprobs`: those of the model's text
    between two places; None where nobody wants them.
    """

    choice: int
    make_id: Callable[[], str] = make_call_id
    take_logprobs: Callable[[int, int], tuple[TokenLogprob, ...]] | None = None
    calls: int = 0
    whole_calls: int = 0

    def read(self, parts: list[Part]) -> list[Event]:
        return [self._read(part) for part in parts]

    def _read(self, part: Part) -> Event:
        match part:
            case Text():
                return TextDelta(self.choice, part.text, self._find_logprobs(part))
            case Reasoning():
                return ReasoningDelta(self.choice, part.text, self._find_logprobs(part))
            case CallStart():
                self.calls += 1
                call_id = part.id or self.make_id()
                return ToolCallStart(self.choice, self.calls - 1, call_id, part.name)
            case CallArguments():
                return ToolCallDelta(self.choice, self.calls - 1, part.text)
            case CallEnd():
                self.whole_calls += part.is_whole
                return ToolCallEnd(self.choice, self.calls - 1, part.id or "")

    def _find_logprobs(self, part: Text | Reasoning) -> tuple[TokenLogprob, ...]:
        if self.take_logprobs is None:
            return ()
        return self.take_logprobs(part.end - len(part.text), part.end)
