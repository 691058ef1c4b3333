"""The pool: which models are in memory, who may use them, and for how long.

One task (`owner`) owns the state. Callers never look at it to decide something; they ask for a
lease and wait.
"""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from app.catalog.entries import ModelEntry
from app.core.errors import ModelBusy
from app.core.models import ModelInfo, ModelState, with_adapter
from app.core.stats import EngineStats, PoolMemory
from app.pool.events import Asked, Changed, Dismissed, Released, Stopped
from app.pool.loaded import LoadedModel
from app.pool.loader import Loader
from app.pool.owner import Owner
from app.pool.ports import PoolMetrics
from app.pool.refusals import closing, not_downloaded, still_loading
from app.pool.room import Room
from app.pool.roster import Changes, Roster
from app.pool.slot import Slot, Waiter

_HANG_SECONDS = 600.0  # a single step never takes that long, even of a large model on a CPU
_UNLOAD_PATIENCE = 30.0  # seconds

_Describe = Callable[[ModelEntry, ModelState, str | None], ModelInfo]


class ModelPool:
    """Models of `entries` in memory, within `limit`. Call it on one event loop."""

    def __init__(
        self,
        entries: Sequence[ModelEntry],
        loader: Loader,
        describe: _Describe,
        metrics: PoolMetrics,
        *,
        limit: Room,
        load_timeout: float,
        keep_alive: float = math.inf,
        warm_after: float = math.inf,
        default: str | None = None,
    ) -> None:
        """`describe` makes the list's row of a model that is not loaded. `keep_alive`: seconds
        that a model stays in memory unused, where neither its entry nor a lease says;
        `warm_after`: seconds that it stays hot, where its entry does not say."""
        self._slots = Roster(entries, default)
        self._keep_alive = keep_alive
        self._loader = loader
        self._describe = describe
        self._limit = limit
        self._load_timeout = load_timeout
        self._bring: Callable[[str], Awaitable[None]] | None = None
        self._brought: Callable[[str], float | None] = lambda _: None
        self._owner = Owner(
            self._slots,
            loader,
            metrics,
            limit=limit,
            keep_alive=keep_alive,
            warm_after=warm_after,
        )
        self._inbox = self._owner.inbox
        self._task: asyncio.Task[None] | None = None
        self._is_preloaded = False
        self._is_draining = False

    # ---- what everyone may ask

    def models(self) -> tuple[ModelInfo, ...]:
        """Every model, in the catalog's order, each followed by itself with each adapter."""
        found: list[ModelInfo] = []
        for slot in self._slots.current():
            info = self._info(slot)
            found += [info, *(with_adapter(info, adapter.name) for adapter in info.adapters)]
        return tuple(found)

    def find(self, model: str) -> ModelInfo:
        """By id or alias, also with an adapter; `name:latest` and `name` are the same. Raises
        ModelNotFound."""
        info = self._info(self._slots.find(model))
        adapter = self._slots.adapter_of(model)
        return with_adapter(info, adapter) if adapter is not None else info

    def entry(self, model: str) -> ModelEntry:
        """What the catalog says of a model, by any of its names. Raises ModelNotFound."""
        return self._slots.find(model).entry

    def stats(self) -> Mapping[str, EngineStats]:
        """The latest snapshot of every model that is or was loaded."""
        return self._slots.stats()

    def states(self) -> Mapping[str, ModelState]:
        """The state of every model."""
        return {slot.entry.id: slot.state for slot in self._slots.current()}

    def memory(self) -> PoolMemory:
        """What the models in memory take, and may take."""
        return PoolMemory(self._slots.memory(), self._limit.memory)

    @property
    def is_ready(self) -> bool:
        """Started, with the preloaded models in memory, and not shutting down."""
        return self._is_preloaded and not self._is_draining

    @property
    def is_alive(self) -> bool:
        """The owner works and no engine is dead or stuck; also while it shuts down."""
        if self._owner.is_closing:
            return True
        if self._task is None or self._task.done():
            return False
        return not any(slot.is_broken or _is_stuck(slot) for slot in self._slots)

    @asynccontextmanager
    async def lease(
        self, model: str, keep_alive: float | None = None
    ) -> AsyncGenerator[LoadedModel]:
        """Hold a model in memory, loading it first where needed; it stays while it is held.

        `keep_alive`: seconds that it stays in memory unused, from the end of this lease until it
        is unloaded or another lease says otherwise; infinite for ever.
        Raises ModelNotFound, ModelNotDownloaded, ModelLoadFailed, UnsupportedOperation (it cannot
        be served), ModelLoading (the load takes longer than the pool's deadline) or Draining.
        """
        slot = await self._obtain(await self._find_here(model))
        try:
            loaded = slot.loaded
            assert loaded is not None  # noqa: S101 - it is held
            yield loaded
        finally:
            self._inbox.put_nowait(Released(slot, keep_alive))

    async def load(self, model: str, keep_alive: float | None = None) -> ModelInfo:
        """Have a model in memory. Raises what a lease raises."""
        async with self.lease(model, keep_alive):
            return self.find(model)

    async def unload(self, model: str, patience: float = _UNLOAD_PATIENCE) -> None:
        """Have a model out of memory, pinned ones too, once those who hold it are done.

        Who asks for it meanwhile waits until it is loaded anew. Raises ModelNotFound, or
        ModelBusy when it is still held after `patience` seconds; then it stays.
        """
        slot = self._slots.find(model)
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._inbox.put_nowait(Dismissed(slot, gone))
        try:
            async with asyncio.timeout(patience):
                await gone
        except TimeoutError:
            self._inbox.put_nowait(Changed())
            raise ModelBusy(
                f"The model '{slot.entry.id}' is in use: {slot.leases} requests are not done after "
                f"{patience:g} seconds. It stays in memory.",
                param="model",
            ) from None

    def bring_with(
        self, bring: Callable[[str], Awaitable[None]], progress: Callable[[str], float | None]
    ) -> None:
        """Have `bring` download models that are absent when a lease asks for them, instead of
        refusing it. It returns once `replace` was called with the model's entry. `progress`: the
        share of a model that it has downloaded, 0 to 1; None where it does not know."""
        self._bring, self._brought = bring, progress

    def replace(self, entries: Sequence[ModelEntry], default: str | None = None) -> Changes:
        """Serve another catalog from now on, without ending anything that runs.

        A model whose entry changed is loaded anew when it is next asked for. Running requests
        keep what they hold; it leaves memory after them.
        """
        changes = self._slots.replace(entries, default)
        self._inbox.put_nowait(Changed())
        return changes

    # ---- life

    def start(self) -> None:
        """Start the owner; leases are given from now on."""
        self._task = asyncio.create_task(self._owner.run(), name="pool")

    async def preload(self, names: Sequence[str]) -> None:
        """Load models one after the other, then be ready. Raises what a lease raises."""
        for name in names:
            async with self.lease(name):
                pass
        self._is_preloaded = True

    def drain(self) -> None:
        """Say that the service is shutting down; leases already wanted are still given."""
        self._is_draining = True

    async def abort(self) -> None:
        """End every sequence that is still generated, with an error; refuse whoever waits.

        The models stay in memory until `close`.
        """
        self._is_draining = self._owner.is_closing = True
        self._loader.stop()
        for slot in self._slots:
            slot.refuse(closing())
        loaded = [slot.loaded for slot in self._slots if slot.loaded is not None]
        await asyncio.gather(*(one.engine.close() for one in loaded if one.engine is not None))

    async def close(self) -> None:
        """Refuse whoever waits, unload everything, stop; idempotent.

        A model that somebody holds even now is left to the end of the process: freeing it under
        a thread that reads its vocabulary would crash.
        """
        self._is_draining = self._owner.is_closing = True
        self._loader.stop()
        if self._task is None:
            return
        self._inbox.put_nowait(Stopped())
        with suppress(asyncio.CancelledError):
            await self._task
        await self._owner.settled()
        await self.abort()
        for slot in self._slots:
            if slot.resident is not None and not slot.leases:
                await slot.resident.close()
                slot.retire()

    # ---- small helpers

    async def _find_here(self, model: str) -> Slot:
        """The slot of a model whose files are here."""
        slot = self._slots.find(model)
        if not slot.entry.is_here and self._bring is not None:
            await self._bring(slot.entry.id)
            slot = self._slots.find(model)
        if not slot.entry.is_here:
            raise not_downloaded(slot.entry.id)
        return slot

    async def _obtain(self, wanted: Slot) -> Slot:
        """The slot that gives the lease: another one where `wanted` was replaced meanwhile."""
        if self._owner.is_closing:
            raise closing()
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._inbox.put_nowait(Asked(wanted, waiter))
        try:
            async with asyncio.timeout(self._load_timeout):
                return await waiter
        except TimeoutError:
            self._give_back(waiter)
            raise still_loading(wanted) from None
        except asyncio.CancelledError:
            self._give_back(waiter)
            raise

    def _give_back(self, waiter: Waiter) -> None:
        """The caller stopped waiting, maybe just after the owner had granted the lease."""
        granted = waiter.done() and not waiter.cancelled() and waiter.exception() is None
        self._inbox.put_nowait(Released(waiter.result()) if granted else Changed())

    def _info(self, slot: Slot) -> ModelInfo:
        loaded = slot.loaded
        progress = slot.progress if slot.state == "loading" else None
        if loaded is None:
            error = slot.error.message if slot.error is not None else None
            described = self._describe(slot.entry, slot.state, error)
            pulled = self._brought(slot.entry.id) if slot.state == "absent" else None
            return replace(described, load_progress=progress, pull_progress=pulled)
        left = slot.expires(self._keep_alive) - time.monotonic()
        return replace(
            loaded.info,
            state=slot.state,
            aliases=slot.entry.aliases,
            memory=slot.room.memory,
            load_progress=progress,
            pinned=slot.entry.pin,
            leases=slot.leases,
            expires=time.time() + left if left < math.inf else None,
        )


def _is_stuck(slot: Slot) -> bool:
    stats = slot.engine_stats
    return stats is not None and time.monotonic() - stats.heartbeat > _HANG_SECONDS
