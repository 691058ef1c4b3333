"""The record of one generation: what the log line and the metrics are made from."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class GenerationRecord:
    """Filled in while a request is answered. Times in seconds since the request was accepted.

    `model` is the one that is in memory, `adapters` what is applied to it, as `sql` or `sql@0.5`.
    `accepted_tokens` are those of the answers that had been guessed ahead; `rejected_tokens` were
    guessed wrong. `load_seconds` passed before the model was there. `outcome` is a finish reason,
    `abort` when the client left, or an error code.
    """

    model: str
    adapters: list[str] = field(default_factory=list[str])
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    accepted_tokens: int = 0
    rejected_tokens: int = 0
    n: int = 1
    priority: int = 0
    load_seconds: float = 0.0
    queue_seconds: float | None = None
    ttft_seconds: float | None = None
    total_seconds: float | None = None
    outcome: str = "abort"
    finish_reasons: list[str] = field(default_factory=list[str])

    @property
    def tokens_per_second(self) -> float | None:
        """Generated tokens per second after the first of each answer, None without such."""
        if self.ttft_seconds is None or self.total_seconds is None:
            return None
        span, later = self.total_seconds - self.ttft_seconds, self.completion_tokens - self.n
        return later / span if span > 0 and later > 0 else None
