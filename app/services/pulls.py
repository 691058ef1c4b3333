"""Bringing models here while the server runs: by name, with a queue, for whoever watches."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import structlog

from app.catalog.hub_names import read_hub_name
from app.catalog.orders import Wish, find_wish, is_here
from app.catalog.pulls import Order, Pulls
from app.catalog.registry import short_names
from app.config.manifest import Manifest
from app.config.sources import is_within
from app.core.errors import (
    BadRequest,
    CorralError,
    Draining,
    InternalError,
    ModelLoading,
    ModelNotFound,
    PullNotFound,
    PullRefused,
    QueueFull,
    SourceNotFound,
)
from app.core.pulls import PullJob, PullProgress
from app.services.ports import ModelPool, PullMetrics
from app.services.pull_run import Run, Watch

_MAX_WAITING = 32
_MAX_ENDED = 50

_log = structlog.stdlib.get_logger("corral.pulls")


class PullService:
    """Downloads of models. Belongs to one event loop."""

    def __init__(
        self,
        pulls: Pulls,
        pool: ModelPool,
        models_dir: Path,
        read_manifest: Callable[[], Manifest],
        reload: Callable[[], Awaitable[Any]],
        *,
        sources: Sequence[str],
        limit: int,
        metrics: PullMetrics,
    ) -> None:
        """`read_manifest` may block. `sources`: beginnings of what callers may name themselves.
        `limit`: models downloaded at once."""
        self._pulls = pulls
        self._pool = pool
        self._dir = models_dir
        self._read_manifest = read_manifest
        self._reload = reload
        self._sources = tuple(sources)
        self._limit = limit
        self._metrics = metrics
        self._slots = asyncio.Semaphore(limit)
        self._runs: dict[str, Run] = {}
        self._brought: dict[str, Run] = {}
        self._is_draining = False

    async def start(self, model: str, *, is_forced: bool = False) -> PullJob:
        """Have a model downloaded, whether anybody watches or not.

        Who asks for what is being downloaded gets the same job. `is_forced`: also what is here
        already. Raises SourceNotFound, BadRequest, PullRefused, QueueFull or Draining.
        """
        return (await self._begin(model, is_kept=True, is_forced=is_forced)).state

    async def follow(self, model: str, *, is_forced: bool = False) -> Watch:
        """Like `start`, but it ends when nobody watches any more."""
        return (await self._begin(model, is_kept=False, is_forced=is_forced)).watch()

    async def bring(self, model: str, patience: float) -> None:
        """Have a model downloaded for a request that waits for it; it goes on without the request.

        Raises what `start` raises, what makes the download fail, and ModelLoading when it is not
        done after `patience` seconds.
        """
        run = self._brought[model] = await self._begin(model, is_kept=True, is_forced=False)
        watch = run.watch()
        try:
            async with asyncio.timeout(patience):
                await watch.wait()
        except TimeoutError:
            done, size = run.state.done / 1e9, (run.state.size or 0) / 1e9
            raise ModelLoading(
                f"The model '{model}' is being downloaded: {done:.2f} of {size:.2f} GB are here. "
                f"Please retry later.",
                retry_after=30,
            ) from None
        finally:
            watch.close()
            if run.state.is_over:
                self._brought.pop(model, None)

    def progress(self, model: str) -> float | None:
        """The share that is here of what `bring` downloads, 0 to 1; None where nobody knows."""
        run = self._brought.get(model)
        return run.state.share if run is not None else None

    def short_names(self) -> Mapping[str, str]:
        """Name -> source."""
        return short_names()

    def all(self) -> tuple[PullJob, ...]:
        """Those that run and the last that ended, in the order they were asked for."""
        return tuple(run.state for run in self._runs.values())

    def count_running(self) -> int:
        """Downloads that run."""
        return sum(not run.state.is_over for run in self._runs.values()) - self.count_waiting()

    def count_waiting(self) -> int:
        """Downloads that wait for others to end."""
        return sum(run.state.stage == "queued" for run in self._runs.values())

    def get(self, job: str) -> PullJob:
        """Raises PullNotFound."""
        return self._find(job).state

    def watch(self, job: str) -> Watch:
        """Raises PullNotFound."""
        return self._find(job).watch()

    async def cancel(self, job: str) -> PullJob:
        """What was fetched is kept. Raises PullNotFound."""
        run = self._find(job)
        run.cancel()
        await run.settle()
        return run.state

    def drain(self) -> None:
        """Refuse new downloads and end those that run: a shutdown does not wait for gigabytes."""
        self._is_draining = True
        for run in self._runs.values():
            run.cancel(_draining())

    async def close(self) -> None:
        """Until nothing is downloaded any more; idempotent."""
        self.drain()
        for run in self._runs.values():
            await run.settle()

    def _find(self, job: str) -> Run:
        run = self._runs.get(job)
        if run is None:
            raise PullNotFound(f"There is no download '{job}'.")
        return run

    async def _begin(self, model: str, *, is_kept: bool, is_forced: bool) -> Run:
        """The run of a model, which may be one that is there already."""
        wish = await asyncio.to_thread(self._check, model, is_forced=is_forced)
        if self._is_draining:
            raise _draining()
        live = [run for run in self._runs.values() if not run.state.is_over]
        for run in live:
            is_same = bool(wish.orders) and _places(run.orders) == _places(wish.orders)
            if is_same and not run.is_ending and (run.is_forced or not is_forced):
                run.is_kept |= is_kept
                return run
        if len(live) >= self._limit + _MAX_WAITING:
            raise QueueFull(f"{len(live)} downloads run or wait already.", retry_after=60)
        run = Run(model, wish.orders, is_kept=is_kept, is_forced=is_forced)
        self._forget()
        self._runs[run.state.id] = run
        run.begin(self._work(run, wish), self._metrics.count_pull)
        return run

    def _check(self, model: str, *, is_forced: bool) -> Wish:
        wanted = read_hub_name(model)
        if wanted is not None and not self._is_served_offline(model):
            self._check_source(wanted.source)
            model = self._pulls.find_source(wanted)
        wish = self._find_wish(model, is_forced=is_forced)
        if wish.is_given:
            self._check_source(model)
        needs = [order for order in wish.orders if is_forced or not self._is_here(order)]
        if needs and self._pulls.is_offline:
            raise PullRefused(
                f"{needs[0].place} is not downloaded: LLM_OFFLINE is set.", param="model"
            )
        return wish

    def _is_served_offline(self, model: str) -> bool:
        """Whether a model is here, and nobody may be asked for it anyway."""
        if not self._pulls.is_offline:
            return False
        with suppress(ModelNotFound):
            return self._pool.find(model).state != "absent"
        return False

    def _check_source(self, source: str) -> None:
        """Raises PullRefused for one that callers may not name."""
        if not any(is_within(source, prefix) for prefix in self._sources):
            allowed = f", or a source below {', '.join(self._sources)}" if self._sources else ""
            raise PullRefused(
                f"Nothing is downloaded from there: name a short name or a model of models.yaml"
                f"{allowed} (LLM_PULL_SOURCES).",
                param="model",
            )

    def _find_wish(self, model: str, *, is_forced: bool) -> Wish:
        """Nothing to order is left of a model that is here and comes from nowhere."""
        try:
            wish = find_wish(model, self._read_manifest())
        except SourceNotFound as error:
            try:
                wish = Wish(self._pool.find(model).id, ())
            except ModelNotFound:
                raise error from None
        if is_forced and not wish.orders:
            raise BadRequest(
                f"The model '{model}' cannot be downloaded again: its file is not from anywhere "
                f"else.",
                param="model",
            )
        return wish

    async def _work(self, run: Run, wish: Wish) -> None:
        try:
            async with self._slots:
                _log.info("pull started", pull=run.state.id, model=run.state.model)
                for index, order in enumerate(run.orders):
                    await self._fetch(run, index, order)
                run.finish()
                await self._reload()
            run.end("done", name=self._find_name(wish))
        except asyncio.CancelledError:
            run.end("cancelled")
        except CorralError as error:
            run.end("failed", error=error)
        except Exception:
            _log.exception("pull failed", pull=run.state.id)
            run.end("failed", error=InternalError("The server had an error during the download."))
        finally:
            reason = run.state.error.message if run.state.error is not None else None
            _log.info("pull ended", pull=run.state.id, outcome=run.state.stage, reason=reason)

    async def _fetch(self, run: Run, index: int, order: Order) -> None:
        if not run.is_forced and await asyncio.to_thread(self._is_here, order):
            size = (self._dir / order.place).stat().st_size
            pinned = self._pulls.pinned(order.place)
            digest = pinned.sha256 if pinned is not None else order.sha256
            run.tell(index, PullProgress(order.place.name, "done", size, size, digest))
            return
        async with aclosing(self._pulls.pull(order)) as told:
            async for progress in told:
                run.tell(index, progress)

    def _is_here(self, order: Order) -> bool:
        return is_here(order, self._dir, self._pulls)

    def _find_name(self, wish: Wish) -> str | None:
        """What the model is served as; None for a file that is none by itself."""
        with suppress(ModelNotFound):
            return self._pool.find(wish.name).id
        if not wish.orders:
            return None
        path = self._dir / wish.orders[0].place
        names = (info.id for info in self._pool.models())
        return next((name for name in names if self._pool.entry(name).path == path), None)

    def _forget(self) -> None:
        ended = [job for job, run in self._runs.items() if run.state.is_over]
        for job in ended[: -_MAX_ENDED + 1]:
            del self._runs[job]


def _places(orders: Sequence[Order]) -> list[Path]:
    return [order.place for order in orders]


def _draining() -> Draining:
    return Draining(
        "The server is shutting down. What was downloaded is kept: the next pull goes on with it.",
        retry_after=5,
    )
