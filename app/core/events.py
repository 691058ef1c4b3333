"""What happens to a request while it is answered: the neutral language dialects encode from.

Order for one choice: Started, then any mix of deltas in generation order, then exactly one of
Finished or Failed. `choice` counts answers: prompt index * n + answer index.
"""

from dataclasses import dataclass
from typing import Literal

from app.core.errors import CorralError

FinishReason = Literal["stop", "length", "tool_calls"]

# JSON has no infinity: the finite stand-in that OpenAI-compatible servers agree on
LEAST_LOGPROB = -9999.0


@dataclass(frozen=True, slots=True)
class TokenCandidate:
    """A token and its natural log-probability; `bytes` is its exact piece, maybe not UTF-8."""

    id: int
    bytes: bytes
    logprob: float


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A chosen token with its most likely alternatives, best first."""

    token: TokenCandidate
    top: tuple[TokenCandidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """The sequence left the queue. Times in seconds; token counts of this choice's prompt."""

    choice: int
    prompt_tokens: int
    cached_tokens: int
    queue_seconds: float


@dataclass(frozen=True, slots=True)
class TextDelta:
    choice: int
    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    choice: int
    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCallStart:
    choice: int
    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of the arguments' JSON text."""

    choice: int
    index: int
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolCallEnd:
    """`own_id`: what the model calls it, where that came after its start; empty otherwise."""

    choice: int
    index: int
    own_id: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    choice: int
    reason: FinishReason
    completion_tokens: int
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    choice: int
    error: CorralError


Event = (
    Started
    | TextDelta
    | ReasoningDelta
    | ToolCallStart
    | ToolCallDelta
    | ToolCallEnd
    | Finished
    | Failed
)
