"""An embedding context of its own: it shares weights with chat, never its KV cache."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from app.core.errors import EngineFailed, ModelLoadFailed
from app.llama.batch import Batch
from app.llama.bindings import Float32Array, float_rows, lib
from app.llama.model import Model, Pooling

# tokens a decoder computes at a time; a longer input simply takes several rounds
_DECODER_CHUNK = 512


@dataclass(frozen=True, slots=True)
class EmbeddingOptions:
    """`max_tokens`: longest input. `pooling` None: what the model declares, else mean."""

    max_tokens: int
    threads: int = 0
    pooling: Pooling | None = None


class InputContext:
    """A llama.cpp context that reads one input after the other. One thread only.

    An encoder attends in both directions and needs its whole input in one batch; a decoder takes it
    in chunks over its own KV cache.
    """

    def __init__(self, model: Model, options: EmbeddingOptions, *, pools: bool) -> None:
        """`pools`: one vector comes out for an input, as the model declares, else one for each
        token. Raises ModelLoadFailed."""
        self._model = model  # kept alive as long as the context
        self.handle: Any = make_embedding_context(model, options, pools=pools)
        self._chunk = _chunk_of(model, options)
        self._memory: Any = lib.llama_get_memory(self.handle)
        self._batch = Batch(self._chunk)

    def read(self, tokens: Sequence[int]) -> Iterator[int]:
        """Compute an input, yielding after each chunk how many tokens it had."""
        if self._memory:
            lib.llama_memory_clear(self._memory, False)
        for start in range(0, len(tokens), self._chunk):
            chunk = tokens[start : start + self._chunk]
            count, batch = len(chunk), self._batch
            batch.token[:count] = chunk
            batch.position[:count] = range(start, start + count)
            batch.output[:count] = 1
            status = lib.llama_decode(self.handle, batch.prepared(count))
            if status != 0:
                raise EngineFailed(f"llama.cpp failed to read {count} tokens (status {status}).")
            yield count

    def close(self) -> None:
        """Free the context; idempotent. The model stays."""
        if self.handle:
            lib.llama_free(self.handle)
            self.handle = None


class EmbeddingRuntime:
    """Turns token ids into one unit vector. One thread only.

    Every token's own vector is read and pooled here, so that an input may be longer than what
    llama.cpp computes at a time.
    """

    def __init__(self, model: Model, options: EmbeddingOptions) -> None:
        """Raises ModelLoadFailed."""
        self.max_tokens = options.max_tokens
        self.dimensions: int = model.embedding_size
        self.pooling: Pooling = options.pooling or model.pooling or "mean"
        self._context = InputContext(model, options, pools=False)

    def embed(self, tokens: Sequence[int]) -> Float32Array:
        """The unit vector, of shape (dimensions,), of 1..max_tokens token ids."""
        total = np.zeros(self.dimensions, np.float64)
        vectors = np.empty((0, self.dimensions), np.float32)
        for count in self._context.read(tokens):
            # last hidden states, of shape (count, dimensions); valid until the next chunk
            found = lib.llama_get_embeddings(self._context.handle)
            vectors = float_rows(found, count, self.dimensions)
            if self.pooling == "cls":
                return _unit(vectors[0].astype(np.float64))
            total += vectors.sum(axis=0, dtype=np.float64)
        if self.pooling == "last":
            return _unit(vectors[-1].astype(np.float64))
        return _unit(total / len(tokens))

    def close(self) -> None:
        """Free the context; idempotent. The model stays."""
        self._context.close()


def _unit(vector: npt.NDArray[np.float64]) -> Float32Array:
    norm = float(np.linalg.norm(vector))
    return (vector / norm if norm > 0 else vector).astype(np.float32)


def make_embedding_context(model: Model, options: EmbeddingOptions, *, pools: bool = False) -> Any:
    """A bare llama.cpp context, which gives one vector for each token, or `pools` them as the model
    declares. Raises ModelLoadFailed."""
    context = lib.llama_init_from_model(model.handle, _context_params(model, options, pools))
    if not context:
        raise ModelLoadFailed("llama.cpp cannot make an embedding context: see its log lines.")
    return context


def _chunk_of(model: Model, options: EmbeddingOptions) -> int:
    """Tokens computed at a time."""
    return min(_DECODER_CHUNK, options.max_tokens) if model.is_causal else options.max_tokens


def _context_params(model: Model, options: EmbeddingOptions, pools: bool) -> Any:
    params = lib.llama_context_default_params()
    params.n_ctx = options.max_tokens
    params.n_batch = params.n_ubatch = _chunk_of(model, options)
    params.n_seq_max = 1
    params.embeddings = True
    # where the model declares nothing, every token's vector comes anyway
    if not pools and (model.pooling is not None or model.is_reranker):
        params.pooling_type = lib.LLAMA_POOLING_TYPE_NONE
    if options.threads:
        params.n_threads = params.n_threads_batch = options.threads
    params.no_perf = True
    return params
