"""The engine as the event loop sees it: submit sequences, read their outputs, cancel.

One `Engine` owns one thread, which owns one runtime.
"""

import asyncio
import contextlib
import math
import threading
import time
from collections import deque
from typing import Self

from app.core.errors import BadRequest, EngineFailed, QueueFull
from app.core.stats import EngineStats
from app.engine.messages import (
    Cancel,
    End,
    EngineConfig,
    Output,
    SequenceCancelled,
    SequenceOutput,
    SequenceSpec,
    Submit,
)
from app.engine.prefix.store import ModelPrefixes
from app.engine.runtime import Runtime
from app.engine.worker import Worker

_LONGEST_RETRY = 60  # seconds; clients ignore a Retry-After that is much longer

# seconds from one hand-over of tokens to the event loop to the next: nobody sees the difference,
# and each wakes threads that would cost a small model more than its steps
_PACE = 0.005


class OutputStream:
    """The outputs of one sequence, in order; ends after SequenceFinished or SequenceFailed.

    A cancelled stream gives what had arrived before, then ends once the engine has let go of the
    sequence. One reader, on the engine's event loop. `news` is set whenever something arrives or
    the stream ends; the sequences of one `submit` share it.
    """

    def __init__(self, engine: "Engine", identifier: str, news: asyncio.Event) -> None:
        self.news = news
        self.is_cancelled = False
        self.is_closed = False
        self._engine = engine
        self._id = identifier
        self._outputs: list[Output] = []

    def take(self) -> list[Output]:
        """What has arrived and was not taken."""
        outputs, self._outputs = self._outputs, []
        return outputs

    def cancel(self) -> None:
        """Stop generating within one step; idempotent, also after the end."""
        if not self.is_closed and not self.is_cancelled:
            self.is_cancelled = True
            self._engine.cancel(self._id)

    def deliver(self, output: Output) -> None:
        """Called by the engine on its event loop."""
        self._outputs.append(output)
        self.news.set()

    def close(self) -> None:
        """No further output will come."""
        self.is_closed = True
        self.news.set()


class Engine:
    def __init__(
        self,
        runtime: Runtime,
        config: EngineConfig,
        prefixes: ModelPrefixes | None = None,
        draft: Runtime | None = None,
    ) -> None:
        """Made on the event loop that will read the outputs; `start()` starts the thread.
        `prefixes`: where the states of finished sequences are kept, None for nowhere.
        `draft`: a smaller model of the same vocabulary, to guess ahead."""
        self._loop = asyncio.get_running_loop()
        self._config = config
        self._worker = Worker(runtime, config, self._deliver, prefixes, draft)
        self._thread = threading.Thread(
            target=self._worker.run, name=f"engine-{config.name}", daemon=True
        )
        self._streams: dict[str, OutputStream] = {}
        self._arrived: deque[list[Output | SequenceCancelled]] = deque()
        self._is_called = False  # the loop is going to look at what has arrived
        self._next_look = 0.0
        self._places = runtime.max_sequences
        self._seconds_per_sequence = 1.0  # running mean, for Retry-After
        self._submitted_at: dict[str, float] = {}

    def start(self) -> Self:
        self._thread.start()
        return self

    @property
    def stats(self) -> EngineStats:
        """The latest snapshot; never waits for the engine thread."""
        return self._worker.stats

    @property
    def places(self) -> int:
        """Sequences that it generates at once."""
        return self._places

    @property
    def load(self) -> int:
        """Sequences that it generates, and those that wait."""
        return len(self._streams)

    def submit(self, specs: tuple[SequenceSpec, ...]) -> tuple[OutputStream, ...]:
        """Queue all of `specs` or none.

        Raises BadRequest when they could never fit, QueueFull (with `retry_after`) when they do
        not fit now, EngineFailed when the engine is dead. As many as there are free places do not
        count as waiting.
        """
        self._check_alive()
        most = self._places + self._config.max_queue
        if len(specs) > most:
            raise BadRequest(
                f"The request asks for {len(specs)} sequences; this server takes at most {most} "
                f"at once. Please send fewer prompts, or a smaller n."
            )
        if len(specs) > most - len(self._streams):
            raise self._queue_full(len(specs))
        streams: list[OutputStream] = []
        news = asyncio.Event()
        for spec in specs:
            stream = self._streams[spec.id] = OutputStream(self, spec.id, news)
            self._submitted_at[spec.id] = time.monotonic()
            self._worker.send(Submit(spec))
            streams.append(stream)
        try:
            self._check_alive()  # it may have died just before it could see the inbox
        except EngineFailed:
            for spec in specs:
                self._forget(spec.id)
            raise
        return tuple(streams)

    def cancel(self, identifier: str) -> None:
        """Ask for a sequence to be stopped; one that has ended already is left alone."""
        self._worker.send(Cancel(identifier))

    async def close(self) -> None:
        """Fail what still runs, stop the thread, free the runtime. Takes up to one step."""
        self._worker.stop()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)
        self._dispatch()

    def _check_alive(self) -> None:
        if not self._worker.stats.is_alive:
            raise EngineFailed("The inference engine has stopped; the model is being reloaded.")

    def _queue_full(self, n_wanted: int) -> QueueFull:
        ahead = len(self._streams)
        seconds = self._seconds_per_sequence * ahead / self._places
        return QueueFull(
            f"The queue is full: {ahead} sequences are running or waiting, and {n_wanted} more do "
            f"not fit. Rate limit: please retry later.",
            retry_after=min(max(1, math.ceil(seconds)), _LONGEST_RETRY),
        )

    def _deliver(self, outputs: list[Output | SequenceCancelled]) -> None:
        """Engine thread: one wake-up of the event loop carries a whole step, or several quick
        ones."""
        self._arrived.append(outputs)
        is_urgent = any(isinstance(output, End) for output in outputs)
        if is_urgent or not self._is_called:
            self._is_called = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._dispatch if is_urgent else self._look)

    def _look(self) -> None:
        if self._loop.time() < self._next_look:
            self._loop.call_at(self._next_look, self._dispatch)
        else:
            self._dispatch()

    def _dispatch(self) -> None:
        now = self._loop.time()
        self._is_called = False  # before the look: what arrives during it calls again
        while self._arrived:
            for output in self._arrived.popleft():
                if isinstance(output, SequenceOutput):
                    self._next_look = now + _PACE
                self._hand_over(output)

    def _hand_over(self, output: Output | SequenceCancelled) -> None:
        stream = self._streams.get(output.id)
        if stream is None:  # refused by `submit` when the engine had just died
            return
        if not (stream.is_cancelled or isinstance(output, SequenceCancelled)):
            stream.deliver(output)
        if isinstance(output, End):
            lasted = time.monotonic() - self._submitted_at[output.id]
            self._seconds_per_sequence += 0.1 * (lasted - self._seconds_per_sequence)
            self._forget(output.id)

    def _forget(self, identifier: str) -> None:
        del self._submitted_at[identifier]
        self._streams.pop(identifier).close()
