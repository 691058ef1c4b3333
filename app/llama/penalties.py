"""Repetition penalties on the tokens seen only.

llama.cpp's stage looks every token of the vocabulary up in a hash map, 600 microseconds a row at
150,000 tokens. Only tokens of the window change, so only they are touched here; the arithmetic is
llama.cpp's.
"""

from collections.abc import Sequence

import numpy as np

from app.core.requests import SamplingParams
from app.llama.rows import Float32Array
from app.llama.seen import SeenTokens


def has_penalties(params: SamplingParams) -> bool:
    return (
        params.repeat_penalty != 1.0
        or params.presence_penalty != 0.0
        or params.frequency_penalty != 0.0
    )


class Penalties:
    """The last tokens of one sequence, and what they cost their repetition."""

    def __init__(self, params: SamplingParams, window: int, prompt: Sequence[int]) -> None:
        """`window`: how many of the last tokens count; at least 1."""
        self._repeat = np.float32(params.repeat_penalty)
        self._frequency = np.float32(params.frequency_penalty)
        self._presence = np.float32(params.presence_penalty)
        self._seen = SeenTokens(window, prompt)

    def accept(self, token: int) -> None:
        self._seen.add(token)

    def apply(self, row: Float32Array) -> None:
        """Change the logits `row`, shape (vocabulary size,), in place."""
        tokens = self._seen.tokens
        seen = row[tokens]
        seen = np.where(seen <= 0, seen * self._repeat, seen / self._repeat)
        row[tokens] = seen - (self._seen.counts * self._frequency + self._presence)
