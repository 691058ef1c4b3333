"""Downloads into the models directory: one for each file, whoever asks and from wherever.

Each runs in a thread with an event loop of its own, so that disks and digests hold up nobody.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from app.catalog import hub
from app.catalog.download import Download, Limits, Wanted
from app.catalog.file_pins import FilePins, Pinned
from app.catalog.hub_names import HubName
from app.catalog.transfer import Origin
from app.config.sources import HubSource, RemoteSource
from app.core.errors import CorralError, PullFailed
from app.core.pulls import PullProgress

T = TypeVar("T")

_PARTIAL = ".corral/partial"


@dataclass(frozen=True, slots=True)
class Order:
    """A file to pull: from where, and where to inside the models directory. What is known of it
    before is checked. `is_pinned`: only this revision will do."""

    source: RemoteSource
    place: Path
    size: int | None = None
    sha256: str | None = None
    is_pinned: bool = False


@dataclass(slots=True)
class _Job:
    """A download that runs, and who watches it. None in a queue: it ended. `is_ending`: it was
    cancelled, and nobody can join it any more."""

    task: "asyncio.Future[Pinned]"
    last: PullProgress
    is_ending: bool = False
    watchers: list["asyncio.Queue[PullProgress | None]"] = field(
        default_factory=list["asyncio.Queue[PullProgress | None]"]
    )

    def tell(self, progress: PullProgress | None) -> None:
        self.last = progress or self.last
        for watcher in self.watchers:
            watcher.put_nowait(progress)


class Pulls:
    """Belongs to one event loop. `is_offline`: every pull is refused. `count_bytes` is told of
    those that came, some at a time."""

    def __init__(
        self,
        models_dir: Path,
        *,
        is_offline: bool = False,
        allows_http: bool = False,
        limits: Limits | None = None,
        count_bytes: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._dir = models_dir
        self._count_bytes = count_bytes
        self._is_offline = is_offline
        self._allows_http = allows_http
        self._limits = limits
        self._pins = FilePins(models_dir)
        self._jobs: dict[Path, _Job] = {}

    @property
    def is_offline(self) -> bool:
        return self._is_offline

    async def pull(self, order: Order) -> AsyncGenerator[PullProgress]:
        """Progress until the file is there; the last one is `done`. Raises PullFailed.

        Who asks for a file that is being pulled watches the same download. It is cancelled when
        the last one stops watching; what was fetched is kept.
        """
        if self._is_offline:
            raise PullFailed(f"{order.place} is not downloaded: LLM_OFFLINE is set.")
        while (found := self._jobs.get(order.place)) is not None and found.is_ending:
            await asyncio.wait({found.task})
        job = found or self._start(order)
        watcher: asyncio.Queue[PullProgress | None] = asyncio.Queue()
        job.watchers.append(watcher)
        try:
            yield job.last
            while (progress := await watcher.get()) is not None:
                yield progress
            await job.task
        finally:
            job.watchers.remove(watcher)
            if not job.watchers:
                job.is_ending = True
                job.task.cancel()
                with suppress(asyncio.CancelledError, CorralError):
                    await job.task

    def find_source(self, wanted: HubName) -> str:
        """See `hub.find_source`."""
        return hub.find_source(wanted, is_offline=self._is_offline, allows_http=self._allows_http)

    def pinned(self, place: Path) -> Pinned | None:
        """What is known of a file that was pulled and is still there unchanged in size."""
        return self._pins.find(place)

    def _start(self, order: Order) -> _Job:
        job = _Job(
            asyncio.ensure_future(self._run(order)), PullProgress(order.place.name, "resolving")
        )
        self._jobs[order.place] = job

        def end(task: "asyncio.Future[Pinned]") -> None:
            del self._jobs[order.place]
            if not task.cancelled():
                task.exception()  # whoever watches gets it
            job.tell(None)

        job.task.add_done_callback(end)
        return job

    async def _run(self, order: Order) -> Pinned:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Pinned] = loop.create_future()

        def report(progress: PullProgress) -> None:
            loop.call_soon_threadsafe(self._tell, order.place, progress)

        async def work() -> Pinned:
            return await self._fetch(order, report)

        thread = _Thread(work, ended, f"pull-{order.place.name}")
        thread.start()
        try:
            return await asyncio.shield(ended)
        finally:
            thread.cancel()
            with suppress(asyncio.CancelledError, CorralError):
                await ended

    def _tell(self, place: Path, progress: PullProgress) -> None:
        if (job := self._jobs.get(place)) is not None:
            if job.last.stage == "downloading":  # else what is here was so before
                self._count_bytes(max(progress.here - job.last.here, 0))
            job.tell(progress)

    async def _fetch(self, order: Order, report: Callable[[PullProgress], None]) -> Pinned:
        wanted, revision = await _call_apart(lambda: self._resolve(order))
        size, digest = await Download(wanted, self._dir / _PARTIAL, report, self._limits).run()
        pinned = Pinned(size, digest, revision)
        try:
            self._pins.write(order.place, pinned)
        except OSError as error:
            raise PullFailed(f"{order.place} is here, but not noted: {error.strerror}.") from error
        return pinned

    def _resolve(self, order: Order) -> tuple[Wanted, str | None]:
        target = self._dir / order.place
        if not isinstance(order.source, HubSource):
            origin = Origin(order.source.url, allows_http=self._allows_http)
            return Wanted(origin, target, order.size, order.sha256), None
        found = hub.resolve(order.source, allows_http=self._allows_http)
        for ours, theirs, what in (
            (order.sha256, found.sha256, "SHA-256"),
            (order.size, found.size, "size"),
        ):
            if ours is not None and theirs is not None and ours != theirs:
                raise PullFailed(
                    f"{order.source.name}: its {what} is {theirs} on the hub, not {ours}."
                )
        sha256, size = order.sha256 or found.sha256, order.size or found.size
        return Wanted(found.origin, target, size, sha256), found.revision


async def _call_apart(call: Callable[[], T]) -> T:
    """The result of what may block for long. When this is cancelled nobody waits for it, as the
    end of an event loop waits for the threads of its own."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[T] = loop.create_future()

    def settle(act: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is over
            loop.call_soon_threadsafe(lambda: None if ended.done() else act())

    def run() -> None:
        try:
            result = call()
        except Exception as error:  # raised again where it is awaited
            reason = error
            settle(lambda: ended.set_exception(reason))
        else:
            settle(lambda: ended.set_result(result))

    threading.Thread(target=run, name="pull-resolve", daemon=True).start()
    return await ended


class _Thread(threading.Thread):
    """Runs a coroutine in an event loop of its own and hands over how it ended."""

    def __init__(
        self,
        work: Callable[[], Coroutine[Any, Any, Pinned]],
        ended: "asyncio.Future[Pinned]",
        name: str,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._ended = ended
        self._owner = ended.get_loop()
        self._lock = threading.Lock()
        self._is_cancelled = False
        self._inner: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None

    def run(self) -> None:
        try:
            result = asyncio.run(self._main())
        except asyncio.CancelledError:
            self._owner.call_soon_threadsafe(self._ended.cancel)
        except Exception as error:
            self._owner.call_soon_threadsafe(self._ended.set_exception, error)
        else:
            self._owner.call_soon_threadsafe(self._ended.set_result, result)

    def cancel(self) -> None:
        """Idempotent, from any thread."""
        with self._lock:
            self._is_cancelled = True
            if self._inner is not None:
                loop, task = self._inner
                with suppress(RuntimeError):  # it has just ended
                    loop.call_soon_threadsafe(task.cancel)

    async def _main(self) -> Pinned:
        with self._lock:
            if self._is_cancelled:
                raise asyncio.CancelledError
            self._inner = (asyncio.get_running_loop(), asyncio.ensure_future(self._work()))
            task = self._inner[1]
        return await task
