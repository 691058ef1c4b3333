"""The last tokens of a sequence, each once, as arrays."""

from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from app.llama.rows import Float32Array, IdArray


class SeenTokens:
    """A window over a sequence's tokens and how often each occurs in it."""

    def __init__(self, window: int, prompt: Sequence[int]) -> None:
        """`window`: how many of the last tokens count; at least 1."""
        self._recent: deque[int] = deque(maxlen=window)
        self._place: dict[int, int] = {}
        self._tokens: IdArray = np.zeros(64, np.intp)
        self._counts: Float32Array = np.zeros(64, np.float32)
        for token in prompt[-window:]:
            self.add(token)

    @property
    def tokens(self) -> IdArray:
        """Shape (distinct tokens,), in no order; a view until the next `add`."""
        return self._tokens[: len(self._place)]

    @property
    def counts(self) -> npt.NDArray[np.float32]:
        """How often each of `tokens` occurs."""
        return self._counts[: len(self._place)]

    def add(self, token: int) -> None:
        """Remember a token; the oldest leaves a full window."""
        if len(self._recent) == self._recent.maxlen:
            self._forget(self._recent[0])
        self._recent.append(token)
        place = self._place.setdefault(token, len(self._place))
        if place == len(self._tokens):
            self._tokens = np.concatenate((self._tokens, np.zeros_like(self._tokens)))
            self._counts = np.concatenate((self._counts, np.zeros_like(self._counts)))
        self._tokens[place] = token
        self._counts[place] += 1

    def _forget(self, token: int) -> None:
        place = self._place[token]
        self._counts[place] -= 1
        if self._counts[place]:
            return
        last = len(self._place) - 1  # takes the place that is free now
        moved = int(self._tokens[last])
        self._tokens[place], self._counts[place] = moved, self._counts[last]
        self._counts[last] = 0
        self._place[moved] = place
        del self._place[token]
