"""Many output streams read as one."""

import asyncio
from collections.abc import Sequence

from app.core.errors import InternalError
from app.engine.engine import OutputStream
from app.engine.messages import Output, SequenceFailed


class OutputMerge:
    """Reads all streams at once and keeps their order of arrival.

    What arrived together (one step of the engine) is taken together.
    """

    def __init__(self, streams: Sequence[OutputStream]) -> None:
        self._streams = streams
        self._ready: list[tuple[int, Output]] = []
        self._news = asyncio.Event()
        self._open = len(streams)
        self._pumps = [
            asyncio.create_task(self._pump(index, stream)) for index, stream in enumerate(streams)
        ]

    @property
    def first(self) -> Output | None:
        """The oldest output that was not taken."""
        return self._ready[0][1] if self._ready else None

    async def wait(self) -> None:
        """Until there is something to take, or nothing will come any more."""
        while not self._ready and self._open:
            self._news.clear()
            await self._news.wait()

    async def take(self) -> list[tuple[int, Output]]:
        """Stream index and output of all that arrived; empty once all streams have ended."""
        await self.wait()
        ready, self._ready = self._ready, []
        return ready

    def cancel(self) -> None:
        """Tell every sequence to stop; idempotent."""
        for stream in self._streams:
            stream.cancel()

    async def settle(self, timeout: float) -> None:  # noqa: ASYNC109 - a deadline, not a scope
        """Wait for the streams to end, then stop listening."""
        await asyncio.wait(self._pumps, timeout=timeout)
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _pump(self, index: int, stream: OutputStream) -> None:
        try:
            async for output in stream:
                self._ready.append((index, output))
                self._news.set()
        except Exception as error:  # a broken stream must not leave its reader waiting
            failure = InternalError(f"The engine's output broke off: {error}")
            self._ready.append((index, SequenceFailed("", failure)))
        finally:
            self._open -= 1
            self._news.set()
