"""From token bytes to text that may be sent: whole characters, no part of a stop string."""

import codecs
from collections import deque
from typing import NamedTuple

from app.core.events import TokenLogprob


class TextStep(NamedTuple):  # one a token: making a dataclass takes several times as long
    """What one token released. `has_stopped`: a stop string ended the text."""

    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    has_stopped: bool = False


class TextStream:
    """Incremental detokenizer of one sequence.

    Text is held back while its last character is incomplete, or while its end could still turn
    into a stop string. Concatenated, the released texts are the decoded bytes up to the stop
    string; bytes of a character that is never completed are dropped at the end.
    """

    def __init__(self, stop: tuple[str, ...]) -> None:
        self._stop = stop
        self._longest_stop = max(map(len, stop), default=0)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._decoded = 0  # characters decoded so far
        self._released = 0  # characters handed out so far
        # log-probabilities waiting for their text, each with the span of characters it belongs to
        self._waiting: deque[tuple[int, int, TokenLogprob]] = deque()

    def push(self, piece: bytes, logprob: TokenLogprob | None = None) -> TextStep:
        """Add one token's bytes."""
        start = self._decoded
        text = self._decoder.decode(piece)
        self._decoded += len(text)
        if logprob is not None:
            incomplete = bool(self._decoder.getstate()[0])
            self._waiting.append((start, self._decoded + incomplete, logprob))
        self._held += text
        if self._stop:
            position = self._find_stop()
            if position is not None:
                return self._release(position, is_last=True)._replace(has_stopped=True)
            return self._release(len(self._held) - self._possible_stop_length())
        return self._release(len(self._held))

    def finish(self) -> TextStep:
        """Release what was held back, at the end of the sequence."""
        return self._release(len(self._held), is_last=True)

    def _release(self, count: int, *, is_last: bool = False) -> TextStep:
        text, self._held = self._held[:count], self._held[count:]
        self._released += count
        if is_last:
            self._held = ""
        if not self._waiting:
            return TextStep(text)
        done: list[TokenLogprob] = []
        while self._waiting:
            start, end, logprob = self._waiting[0]
            if end > self._released and not (is_last and start < self._released):
                break
            done.append(logprob)
            self._waiting.popleft()
        return TextStep(text, tuple(done))

    def _find_stop(self) -> int | None:
        """Where the earliest stop string begins in the held text."""
        found = (self._held.find(stop) for stop in self._stop)
        return min((position for position in found if position >= 0), default=None)

    def _possible_stop_length(self) -> int:
        """Length of the longest end of the held text that begins a stop string."""
        for length in range(min(len(self._held), self._longest_stop - 1), 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stop):
                return length
        return 0
