"""One response while it is made: reads a generation, keeps the log, tells whoever follows."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Sequence
from dataclasses import replace
from typing import Literal, Protocol

import structlog

from app.core.errors import CorralError, InternalError
from app.core.events import Event, Failed, Finished
from app.core.items import Item, ItemStatus, ResponseStatus, size_of
from app.services.responses.assembly import Assembly
from app.services.responses.events import (
    Added,
    Announced,
    Ended,
    ItemClosed,
    ItemOpened,
    ResponseEvent,
)
from app.services.running import Generation
from app.storage.records import Response, ResponseError, Timings
from app.storage.responses import INTERRUPTED, Progress

Numbered = tuple[int, ResponseEvent]
Stop = Literal["cancelled", "interrupted"]

_log = structlog.stdlib.get_logger("corral.responses")


class Keeps(Protocol):
    """Writes down what a run has to write."""

    def note(self, run: "Run") -> None:
        """Soon."""
        ...

    async def flush(self, run: "Run") -> bool:
        """Now. Whether it is written."""
        ...


class Run:
    """`journal` None: nothing is kept. Whoever made it calls `begin` with what starts the
    generation; it ends by itself, or by `stop`."""

    def __init__(
        self, owner: str, response: Response, assembly: Assembly, journal: Keeps | None
    ) -> None:
        self.owner = owner
        self.response = response
        self.generation: Generation | None = None
        self.is_over = False
        self._assembly = assembly
        self._journal = journal
        self._log: list[ResponseEvent] = []
        self._news = asyncio.Event()
        self._pieces: dict[str, list[int]] = {}
        self._written: dict[str, tuple[ItemStatus, int]] = {}
        self._end_written = response.tail
        self._stopping: Stop | None = None
        self._error: CorralError | None = None
        self._starting: asyncio.Future[Generation] | None = None
        self._task: asyncio.Task[None] | None = None
        self._log.append(Announced("created", response))
        if response.status == "queued":
            self._log.append(Announced("queued", response))

    @property
    def output(self) -> tuple[Item, ...]:
        return self._assembly.output

    @property
    def has_begun(self) -> bool:
        """Whether the engine has its prompt, or never will."""
        return self._starting is not None and self._starting.done()

    def begin(self, source: Awaitable[Generation]) -> None:
        self._starting = asyncio.ensure_future(source)
        if self._starting.done():
            self.generation = self._starting.result()
        self._task = asyncio.create_task(self._run())

    async def wait_begun(self, seconds: float) -> None:
        """Until it has begun, and at most so long."""
        if self._starting is not None:
            await asyncio.wait({self._starting}, timeout=seconds)

    def stop(self, how: Stop) -> None:
        """End it within one step of the engine; what was written stays."""
        if self.is_over or self._stopping is not None:
            return
        self._stopping = how
        if self.generation is not None:
            self.generation.close()
        elif self._starting is not None:  # and not the task: that writes down the end
            self._starting.cancel()

    async def wait(self) -> None:
        """Until it is over."""
        if self._task is not None:
            await asyncio.wait({self._task})

    def check(self) -> None:
        """Raises the error that ended it."""
        if self._error is not None:
            raise self._error

    async def follow(self, start: int = 0) -> AsyncGenerator[list[Numbered]]:
        """The events from number `start` on, as they come; what came together comes together."""
        while True:
            news = self._news
            if start < len(self._log):
                batch = list(enumerate(self._log[start:], start))
                start = len(self._log)
                yield batch
            elif self.is_over:
                return
            else:
                await news.wait()

    def progress(self) -> Progress:
        """What is not written yet."""
        made = Progress(self.owner, self.response, self._end_written)
        if self.response.is_background:
            made.pieces = {item: tuple(numbers) for item, numbers in self._pieces.items()}
        for item in self.output:
            known, now = self._written.get(item.id), _measure(item)
            if known is None:
                made.added.append(item)
            elif known != now:
                made.changed.append(item)
        return made

    def mark_written(self, progress: Progress) -> None:
        for item in (*progress.added, *progress.changed):
            self._written[item.id] = _measure(item)
        if progress.added:
            self._end_written = progress.added[-1].id

    async def _run(self) -> None:
        try:
            if self._starting is not None:
                self.generation = await self._starting
            if self.generation is not None:
                if self._stopping is not None:
                    self.generation.close()
                await self._consume(self.generation)
        except asyncio.CancelledError:
            if self._stopping is None:
                self._stopping = INTERRUPTED
        except CorralError as failure:
            self._error = failure
        except Exception:
            _log.exception("a response failed", response=self.response.id)
            self._error = InternalError("The server had an error while processing the request.")
        finally:
            if self.generation is not None:
                self.generation.close()
        await self._end()

    async def _consume(self, generation: Generation) -> None:
        self.response = replace(self.response, status="in_progress")
        self._tell([Announced("in_progress", self.response)])
        try:
            async for batch in generation:
                await self._take(batch)
        except InternalError:
            if self._stopping is None:  # a closed generation ends so
                raise

    async def _take(self, batch: Sequence[Event]) -> None:
        last = batch[-1]
        events = self._assembly.feed(batch)
        self._count(events)
        if isinstance(last, Finished) and last.reason == "length":
            self.response = replace(self.response, reason="max_output_tokens")
        if any(isinstance(event, ItemClosed) for event in events):
            await self._flush()  # what is told to be whole can be read again
        self._tell(events)
        if isinstance(last, Failed):
            raise last.error

    async def _end(self) -> None:
        """Write the end, then tell it: whoever hears of it may go on from it at once."""
        status, reason = self._decide_end()
        error = self._error
        whole: ItemStatus = "completed" if status == "completed" else "incomplete"
        events = self._assembly.finish(whole)
        self._count(events)
        self.response = replace(
            self.response,
            status=status,
            reason=reason,
            error=ResponseError(error.code, error.message) if error else None,
            completed_at=time.time(),
            last_event=len(self._log) + len(events),
        )
        if self.generation is not None:
            record = self.generation.record
            self.response = replace(
                self.response,
                usage=self.generation.usage,
                timings=Timings(
                    record.queue_seconds,
                    record.ttft_seconds,
                    record.total_seconds,
                    record.tokens_per_second,
                ),
            )
        if not await self._flush():
            self.response = replace(self.response, is_stored=False)
        self.is_over = True
        self._tell([*events, Ended(self.response, self.output)])

    def _decide_end(self) -> tuple[ResponseStatus, str | None]:
        if self._stopping == "cancelled":
            return "cancelled", None
        if self._stopping is not None:
            return "incomplete", INTERRUPTED
        if self._error is not None:
            return "failed", None
        reason = self.response.reason
        return ("incomplete" if reason else "completed"), reason

    async def _flush(self) -> bool:
        if self._journal is None:
            return True
        return await self._journal.flush(self)

    def _count(self, events: Sequence[ResponseEvent]) -> None:
        """Notes the numbers that these events are going to have, before anything is written: who
        asks later, or elsewhere, gets the same ones."""
        for number, event in enumerate(events, len(self._log)):
            if isinstance(event, ItemOpened):
                self._pieces[event.item.id] = [number]
            elif isinstance(event, Added):
                self._pieces[event.item.id].append(len(event.text))

    def _tell(self, events: Sequence[ResponseEvent]) -> None:
        self._log += events
        news, self._news = self._news, asyncio.Event()
        news.set()
        if self._journal is not None and not self.is_over:
            self._journal.note(self)


def _measure(item: Item) -> tuple[ItemStatus, int]:
    """Changes whenever the item does: items only grow."""
    return item.status, size_of(item)
