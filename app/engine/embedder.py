"""Embeddings on their own context and thread: they never wait for chat."""

from app.engine.runtime import Float32Array


class Embedder:
    @property
    def dimensions(self) -> int:
        raise NotImplementedError

    @property
    def max_tokens(self) -> int:
        """Longest input, in tokens."""
        raise NotImplementedError

    async def embed(self, inputs: list[list[int]]) -> Float32Array:
        """Unit vectors of shape (len(inputs), dimensions). Every input has 1..max_tokens ids."""
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError
