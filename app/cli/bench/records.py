"""What is sent to a server in one request, and what was seen to come back."""

from dataclasses import dataclass, field
from itertools import pairwise

Message = dict[str, str]
"""A chat message: `role` and `content`."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One chat completion to ask for; `max_tokens` is the length wanted, in tokens."""

    messages: list[Message]
    max_tokens: int
    schema: dict[str, object] | None = None
    """JSON schema the answer must follow; such an answer ends by itself, so EOS is not ignored."""
    sampling: dict[str, object] = field(default_factory=dict[str, object])
    """Fields of the request that replace greedy sampling."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One finished (or failed) request; all times are seconds on the monotonic clock."""

    started: float
    finished: float
    request: ChatRequest
    token_times: tuple[float, ...] = ()
    """Arrival of each event that carried text, reasoning included."""
    text: str = ""
    """The answer, without reasoning."""
    tokens: tuple[bytes, ...] = ()
    """Bytes of each token, when log-probabilities were asked for."""
    wanted_tokens: int | None = None
    """The output length asked for, in tokens, when the server was told to ignore EOS."""
    output_tokens: int = 0
    prompt_tokens: int = 0
    """Zero when the server reports no usage."""
    cached_tokens: int = 0
    """Prompt tokens which the server says it did not compute again."""
    error: str | None = None

    @property
    def time_to_first(self) -> float | None:
        """Seconds from sending to the first text."""
        return self.token_times[0] - self.started if self.token_times else None

    def gaps(self, since: float = float("-inf"), until: float = float("inf")) -> list[float]:
        """Seconds between neighbouring texts, of the gaps that overlap `since`..`until`."""
        return [
            after - before
            for before, after in pairwise(self.token_times)
            if after > since and before < until
        ]
