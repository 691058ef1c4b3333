"""Embeddings on their own context and thread: they never wait for chat."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np

from app.core.errors import QueueFull
from app.engine.runtime import Float32Array


class EmbeddingRuntime(Protocol):
    """What `app.llama.embedding` offers; one thread only."""

    @property
    def dimensions(self) -> int: ...

    @property
    def max_tokens(self) -> int: ...

    def embed(self, tokens: list[int]) -> Float32Array: ...

    def close(self) -> None: ...


class Embedder:
    """Serialises inputs on one thread; requests take turns input by input, so that a large one
    does not keep a small one waiting."""

    def __init__(self, runtime: EmbeddingRuntime, *, name: str, max_queue: int) -> None:
        """`max_queue`: inputs that may wait, over all requests."""
        self._runtime = runtime
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"embedder-{name}")
        self._max_queue = max_queue
        self._waiting = 0

    @property
    def dimensions(self) -> int:
        return self._runtime.dimensions

    @property
    def max_tokens(self) -> int:
        """Longest input, in tokens."""
        return self._runtime.max_tokens

    async def embed(self, inputs: list[list[int]]) -> Float32Array:
        """Unit vectors of shape (len(inputs), dimensions). Every input has 1..max_tokens ids.

        Raises QueueFull when too many inputs wait already, EngineFailed when llama.cpp fails.
        """
        if self._waiting and self._waiting + len(inputs) > self._max_queue:
            raise QueueFull(
                f"The embedding queue is full: {self._waiting} inputs wait. Rate limit: please "
                f"retry later.",
                retry_after=1,
            )
        loop = asyncio.get_running_loop()
        vectors = np.empty((len(inputs), self.dimensions), np.float32)
        self._waiting += len(inputs)
        done = 0
        try:
            for index, tokens in enumerate(inputs):
                vectors[index] = await loop.run_in_executor(
                    self._thread, self._runtime.embed, tokens
                )
                self._waiting -= 1
                done += 1
        finally:
            self._waiting -= len(inputs) - done
        return vectors

    async def close(self) -> None:
        """Wait for the input being computed, then free the runtime."""
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)
        self._runtime.close()
