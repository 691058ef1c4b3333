"""One model that is brought here: its state, and those who watch it."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from app.catalog.pulls import Order
from app.config.sources import shown_source
from app.core.errors import CorralError, PullFailed
from app.core.ids import make_id
from app.core.pulls import PullJob, PullOutcome, PullProgress

_PREFIX = "pull_"


class Run:
    """Belongs to one event loop. `is_kept`: it goes on when nobody watches. `is_forced`: what is
    here is fetched too. `is_ending`: it was cancelled, and nobody should join it any more."""

    def __init__(
        self, model: str, orders: Sequence[Order], *, is_kept: bool, is_forced: bool
    ) -> None:
        files = tuple(PullProgress(order.place.name, "resolving") for order in orders)
        self.orders = orders
        self.is_kept = is_kept
        self.is_forced = is_forced
        self.is_ending = False
        self.state = PullJob(make_id(_PREFIX), shown_source(model), "queued", files, time.time())
        self._task: asyncio.Task[None] | None = None
        self._watchers = 0
        self._reason: CorralError | None = None
        self._changed = asyncio.Event()

    def begin(self, work: Coroutine[Any, Any, None], count: Callable[[PullOutcome], None]) -> None:
        """`count` is told how it ended."""
        self._count = count
        self._task = asyncio.create_task(work, name=self.state.id)
        self._task.add_done_callback(self._note_end)

    async def settle(self) -> None:
        """Until nothing is done for it any more."""
        if self._task is not None:
            await asyncio.wait({self._task})

    def tell(self, index: int, progress: PullProgress) -> None:
        """How far the file of order `index` has come."""
        files = [*self.state.files]
        files[index] = progress
        stage = self.state.stage if progress.stage == "done" else progress.stage
        self._update(files=tuple(files), stage=stage)

    def finish(self) -> None:
        """All files are here."""
        self._update(stage="finishing")

    def end(
        self,
        outcome: PullOutcome,
        *,
        name: str | None = None,
        error: CorralError | None = None,
    ) -> None:
        if outcome == "cancelled":
            error = self._reason or PullFailed(
                f"The download of {self.state.model} was cancelled. What is here is kept: the next "
                f"pull goes on with it."
            )
        self._update(stage=outcome, ended=time.time(), name=name, error=error)
        self._count(outcome)

    def cancel(self, reason: CorralError | None = None) -> None:
        """Have it end soon, unless all its files are here already. `reason` is told to those who
        watch."""
        is_late = self.state.is_over or self.state.stage == "finishing"
        if self._task is not None and not is_late:
            self.is_ending = True
            self._reason = self._reason or reason
            self._task.cancel()

    def watch(self) -> "Watch":
        self._watchers += 1
        return Watch(self)

    def leave(self) -> None:
        """Somebody who watched does not any more."""
        self._watchers -= 1
        if not self._watchers and not self.is_kept:
            self.cancel()

    async def states(self) -> AsyncGenerator[PullJob]:
        """See `Watch.states`."""
        while True:
            changed, state = self._changed, self.state
            yield state
            if state.is_over:
                return
            await changed.wait()

    def _note_end(self, _task: asyncio.Task[None]) -> None:
        """What is cancelled before its first step never says so itself."""
        if not self.state.is_over:
            self.end("cancelled")

    def _update(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)
        self._changed.set()
        self._changed = asyncio.Event()


class Watch:
    """Somebody who watches a download; must be closed, for one that nobody watches may end."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._is_closed = False

    def states(self) -> AsyncGenerator[PullJob]:
        """As it stands and each time it changed, to the end; who is slow misses some between."""
        return self._run.states()

    async def wait(self) -> PullJob:
        """The job when it is over. Raises what made it fail."""
        await self._run.settle()
        state = self._run.state
        if state.error is not None:
            raise state.error
        return state

    def close(self) -> None:
        """Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            self._run.leave()
