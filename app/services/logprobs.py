"""Keeping log-probabilities beside the text they belong to."""

from collections import deque
from dataclasses import dataclass

from app.core.events import TokenLogprob


@dataclass(frozen=True, slots=True)
class _Placed:
    start: int
    end: int
    logprob: TokenLogprob


class LogprobTrack:
    """Tokens on their way through a parser, each with its place in the model's text."""

    def __init__(self) -> None:
        self._waiting: deque[_Placed] = deque()
        self._end = 0

    def add(self, text: str, logprobs: tuple[TokenLogprob, ...]) -> None:
        """`text` is all that these tokens completed; the last of them ends where it does."""
        start = place = self._end
        self._end += len(text)
        read = b""
        for index, logprob in enumerate(logprobs, start=1):
            read += logprob.token.bytes
            length = len(read.decode(errors="ignore"))
            end = self._end if index == len(logprobs) else min(start + length, self._end)
            self._waiting.append(_Placed(place, end, logprob))
            place = end

    def take(self, start: int, end: int) -> tuple[TokenLogprob, ...]:
        """The tokens of the text from `start` to `end`; those of markup before it are dropped."""
        taken: list[TokenLogprob] = []
        while self._waiting and self._waiting[0].end <= end:
            placed = self._waiting.popleft()
            if placed.end > start or placed.start >= start:
                taken.append(placed.logprob)
        return tuple(taken)

    def take_rest(self, *, has_markup: bool) -> tuple[TokenLogprob, ...]:
        """What no text has taken at the very end: with markup, only the tokens without text."""
        left, self._waiting = self._waiting, deque()
        return tuple(
            placed.logprob for placed in left if not has_markup or placed.start == placed.end
        )
