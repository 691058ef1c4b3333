"""Scores of pairs by a model that was made for it: a query and a document, read together."""

import math
from collections.abc import Sequence

import numpy as np

from app.core.errors import EngineFailed
from app.llama.bindings import Float32Array, float_rows, lib
from app.llama.embedding import EmbeddingOptions, InputContext
from app.llama.model import Model

# their graphs end in a softmax over "yes" and "no"; all others in one number without bounds
_GIVE_PROBABILITIES = frozenset({"qwen3", "qwen3vl"})


class RankingRuntime:
    """Turns the tokens of a pair into a vector of one element: its relevance, 0 to 1. One thread
    only."""

    dimensions = 1

    def __init__(self, model: Model, options: EmbeddingOptions) -> None:
        """Raises ModelLoadFailed."""
        self.max_tokens = options.max_tokens
        self._is_probability = model.architecture in _GIVE_PROBABILITIES
        self._context = InputContext(model, options, pools=True)

    def embed(self, tokens: Sequence[int]) -> Float32Array:
        """The relevance, of shape (1,), of 1..max_tokens token ids."""
        for _ in self._context.read(tokens):
            pass  # the score comes with the last chunk
        scores = lib.llama_get_embeddings_seq(self._context.handle, 0)
        if not scores:
            raise EngineFailed("llama.cpp has no score for this input.")
        score = float(float_rows(scores, 1, 1)[0, 0])
        return np.array([score if self._is_probability else _squash(score)], np.float32)

    def close(self) -> None:
        """Free the context; idempotent. The model stays."""
        self._context.close()


def _squash(logit: float) -> float:
    """The logistic function, without overflow."""
    return 0.5 * (1.0 + math.tanh(0.5 * logit))
