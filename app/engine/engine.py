"""The engine as the event loop sees it: submit sequences, read their outputs, cancel.

One `Engine` owns one thread, which owns one runtime.
"""

from collections.abc import AsyncIterator
from typing import Self

from app.core.stats import EngineStats
from app.engine.messages import EngineConfig, Output, SequenceSpec
from app.engine.runtime import Runtime


class OutputStream:
    """The outputs of one sequence, in order; ends after SequenceFinished or SequenceFailed."""

    def __aiter__(self) -> AsyncIterator[Output]:
        raise NotImplementedError

    def cancel(self) -> None:
        """Stop generating within one step; idempotent, also after the end."""
        raise NotImplementedError


class Engine:
    def __init__(self, runtime: Runtime, config: EngineConfig) -> None:
        """Made on the event loop that will read the outputs; `start()` starts the thread."""
        raise NotImplementedError

    def start(self) -> Self:
        raise NotImplementedError

    def submit(self, specs: tuple[SequenceSpec, ...]) -> tuple[OutputStream, ...]:
        """Queue all of `specs` or none. Raises QueueFull (with `retry_after`) or EngineFailed."""
        raise NotImplementedError

    @property
    def stats(self) -> EngineStats:
        """The latest snapshot; never waits for the engine thread."""
        raise NotImplementedError

    async def close(self) -> None:
        """Fail what still runs, stop the thread, free the runtime."""
        raise NotImplementedError
