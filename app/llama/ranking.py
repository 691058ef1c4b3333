"""Scores of pairs by a model that was made for it: a query and a document, read together."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from app.core.errors import EngineFailed
from app.llama.batch import Batch
from app.llama.bindings import Float32Array, float_rows, lib
from app.llama.embedding import EmbeddingOptions, chunk_of, make_embedding_context
from app.llama.model import Model

# their graphs end in a softmax over "yes" and "no"; all others in one number without bounds
_GIVE_PROBABILITIES = frozenset({"qwen3", "qwen3vl"})


class RankingRuntime:
    """Turns the tokens of a pair into a vector of one element: its relevance, 0 to 1. One thread
    only.

    An encoder needs the whole pair in one batch; a decoder takes it in chunks, and its score
    comes with the last one.
    """

    dimensions = 1

    def __init__(self, model: Model, options: EmbeddingOptions) -> None:
        """Raises ModelLoadFailed."""
        self._model = model  # kept alive as long as the context
        self.max_tokens = options.max_tokens
        self._chunk = chunk_of(model, options)
        self._context: Any = make_embedding_context(model, options, pools=True)
        self._memory: Any = lib.llama_get_memory(self._context)
        self._batch = Batch(self._chunk)

    def embed(self, tokens: Sequence[int]) -> Float32Array:
        """The relevance, of shape (1,), of 1..max_tokens token ids."""
        if self._memory:
            lib.llama_memory_clear(self._memory, False)
        for start in range(0, len(tokens), self._chunk):
            self._compute(tokens[start : start + self._chunk], start)
        scores = lib.llama_get_embeddings_seq(self._context, 0)
        if not scores:
            raise EngineFailed("llama.cpp has no score for this input.")
        score = float(float_rows(scores, 1, 1)[0, 0])
        if self._model.architecture not in _GIVE_PROBABILITIES:
            score = _squash(score)
        return np.array([score], np.float32)

    def close(self) -> None:
        """Free the context; idempotent. The model stays."""
        if self._context:
            lib.llama_free(self._context)
            self._context = None

    def _compute(self, chunk: Sequence[int], start: int) -> None:
        count, batch = len(chunk), self._batch
        batch.token[:count] = chunk
        batch.position[:count] = range(start, start + count)
        batch.output[:count] = 1
        status = lib.llama_decode(self._context, batch.prepared(count))
        if status != 0:
            raise EngineFailed(f"llama.cpp failed to rank {count} tokens (status {status}).")


def _squash(logit: float) -> float:
    """The logistic function, without overflow."""
    return 0.5 * (1.0 + math.tanh(0.5 * logit))
