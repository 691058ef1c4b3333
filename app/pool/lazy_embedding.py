"""An embedding context that is made when it is first needed: most chat models never embed."""

from collections.abc import Callable

from app.engine.embedder import EmbeddingRuntime as AnyRuntime
from app.engine.runtime import Float32Array
from app.llama.embedding import EmbeddingOptions, EmbeddingRuntime
from app.llama.footprint import count_buffers
from app.llama.library import listen
from app.llama.model import Model


class LazyEmbeddingRuntime:
    """Satisfies `engine.embedder.EmbeddingRuntime`. One thread only."""

    def __init__(
        self,
        model: Model,
        options: EmbeddingOptions,
        make: Callable[[Model, EmbeddingOptions], AnyRuntime] = EmbeddingRuntime,
        dimensions: int | None = None,
    ) -> None:
        """`dimensions`: those of what `make` makes, where they are not the model's own."""
        self._model = model
        self._options = options
        self._make = make
        self._runtime: AnyRuntime | None = None
        self.memory = 0  # bytes
        self.dimensions = dimensions or model.embedding_size
        self.max_tokens = options.max_tokens

    def embed(self, tokens: list[int]) -> Float32Array:
        """The unit vector of 1..max_tokens token ids. Raises ModelLoadFailed for want of memory."""
        if self._runtime is None:
            with listen() as lines:
                self._runtime = self._make(self._model, self._options)
            self.memory = count_buffers(lines)
        return self._runtime.embed(tokens)

    def close(self) -> None:
        if self._runtime is not None:
            self._runtime.close()
