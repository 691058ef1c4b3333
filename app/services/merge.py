"""Many output streams read as one."""

import asyncio
import contextlib
from collections.abc import Sequence

from app.engine.engine import OutputStream
from app.engine.messages import Output


class OutputMerge:
    """Reads the streams of one request. What arrived together (one step of the engine) is taken
    together."""

    def __init__(self, streams: Sequence[OutputStream]) -> None:
        """`streams`: at least one, all of one `submit`."""
        self._streams = streams
        self._news = streams[0].news
        self._ready: list[tuple[int, Output]] = []

    @property
    def first(self) -> Output | None:
        """The oldest output that was not taken."""
        return self._ready[0][1] if self._ready else None

    async def wait(self) -> None:
        """Until there is something to take, or nothing will come any more."""
        while True:
            self._collect()
            if self._ready or self._have_ended:
                return
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
        """Wait for the streams to end, but no longer than `timeout` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not self._have_ended:
                    self._news.clear()
                    await self._news.wait()

    @property
    def _have_ended(self) -> bool:
        return all(stream.is_closed for stream in self._streams)

    def _collect(self) -> None:
        for index, stream in enumerate(self._streams):
            for output in stream.take():
                self._ready.append((index, output))
