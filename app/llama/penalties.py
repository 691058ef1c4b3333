"""Repetition penalties on the tokens seen only.

llama.cpp's stage looks every token of the vocabulary up in a hash map, 600 microseconds a row at
150,000 tokens. Only tokens of the window change, so only they are touched here; the arithmetic is
llama.cpp's.
"""

from collections import Counter, deque
from collections.abc import Sequence

import numpy as np

from app.core.requests import SamplingParams
from app.llama.bindings import Float32Array


class Penalties:
    """The last tokens of one sequence, and what they cost their repetition."""

    def __init__(self, params: SamplingParams, window: int, prompt: Sequence[int]) -> None:
        """`window`: how many of the last tokens count; at least 1."""
        self._repeat = np.float32(params.repeat_penalty)
        self._frequency = np.float32(params.frequency_penalty)
        self._presence = np.float32(params.presence_penalty)
        self._recent: deque[int] = deque(prompt[-window:], maxlen=window)
        self._counts = Counter(self._recent)

    def accept(self, token: int) -> None:
        """Remember a token; the oldest leaves a full window."""
        if len(self._recent) == self._recent.maxlen:
            oldest = self._recent[0]
            self._counts[oldest] -= 1
            if not self._counts[oldest]:
                del self._counts[oldest]
        self._recent.append(token)
        self._counts[token] += 1

    def apply(self, row: Float32Array) -> None:
        """Change the logits `row`, shape (vocabulary size,), in place."""
        if not self._counts:
            return
        tokens = np.fromiter(self._counts.keys(), np.intp, len(self._counts))
        counts = np.fromiter(self._counts.values(), np.float32, len(self._counts))
        seen = row[tokens]
        seen = np.where(seen <= 0, seen * self._repeat, seen / self._repeat)
        row[tokens] = seen - (counts * self._frequency + self._presence)
