"""One answer: its parts as they come, and what it took."""

from dataclasses import dataclass, field
from time import perf_counter

_MOMENT = 0.02  # seconds; what comes within one was computed before and sent at once


@dataclass(frozen=True, slots=True)
class Piece:
    """What arrived of an answer: text, or a thought before it; or `news` of what is done first."""

    text: str = ""
    thought: str = ""
    news: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens, as the server counts them. `cached` are part of `prompt`: they were not computed
    again. `thought` are part of `answer`."""

    prompt: int = 0
    answer: int = 0
    cached: int = 0
    thought: int = 0


@dataclass(slots=True)
class Turn:
    """A question's answer. `reason` is why it ended: `stop`, `length`, or `interrupted`.

    Times are seconds since it was asked: `first` until something arrived, `total` until the end.
    """

    model: str = ""
    text: str = ""
    thought: str = ""
    reason: str | None = None
    counts: Counts | None = None
    first: float | None = None
    total: float = 0.0
    _started: float = field(default_factory=perf_counter)

    def add(self, piece: Piece) -> None:
        if self.first is None and (piece.text or piece.thought):
            self.first = self._elapsed()
        self.text += piece.text
        self.thought += piece.thought

    def end(self, reason: str | None, counts: Counts | None = None) -> None:
        self.reason, self.counts = reason, counts
        self.total = self._elapsed()

    @property
    def speed(self) -> float | None:
        """Tokens in a second, from the first one on; None where it was over too soon to tell."""
        if self.counts is None or self.first is None or self.counts.answer < 2:
            return None
        seconds = self.total - self.first
        return (self.counts.answer - 1) / seconds if seconds > _MOMENT else None

    def _elapsed(self) -> float:
        return perf_counter() - self._started
