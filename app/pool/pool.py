"""The pool: which models are in memory, who may use them, and for how long.

One task owns the state: everything that happens reaches it as an event, it decides with the pure
`policy`, and loading and unloading report back as events. Callers never look at the state to
decide something; they ask for a lease and wait.
"""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import structlog

from app.catalog.entries import ModelEntry
from app.core.errors import CorralError, ModelBusy, ModelNotFound, OutOfMemory
from app.core.models import ModelInfo, ModelState
from app.core.stats import EngineStats, PoolMemory
from app.pool.events import (
    Asked,
    Changed,
    Dismissed,
    Event,
    Loaded,
    Measured,
    Released,
    Stopped,
    Unloaded,
)
from app.pool.loaded import LoadedModel
from app.pool.loader import Loader, Resident
from app.pool.policy import Room, Wanted, make_plan
from app.pool.ports import PoolMetrics
from app.pool.refusals import (
    cannot_load,
    closing,
    no_place,
    not_downloaded,
    out_of_memory,
    still_loading,
)
from app.pool.roster import Changes, Roster
from app.pool.slot import Slot, Waiter

_CHECK_SECONDS = 1.0  # how soon a dead engine is noticed
_HANG_SECONDS = 600.0  # a single step never takes that long, even of a large model on a CPU
_FAILURE_REST = 5.0  # seconds before a model that failed to load is tried again
_UNLOAD_PATIENCE = 30.0  # seconds

_log = structlog.stdlib.get_logger("corral.pool")


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
        default: str | None = None,
    ) -> None:
        """`describe` makes the list's row of a model that is not loaded. `keep_alive`: seconds
        that a model stays in memory unused, where neither its entry nor a lease says."""
        self._slots = Roster(entries, default)
        self._keep_alive = keep_alive
        self._loader = loader
        self._describe = describe
        self._metrics = metrics
        self._limit = limit
        self._load_timeout = load_timeout
        self._bring: Callable[[str], Awaitable[None]] | None = None
        self._inbox: asyncio.Queue[Event] = asyncio.Queue()
        self._effects: set[asyncio.Task[None]] = set()
        self._owner: asyncio.Task[None] | None = None
        self._is_preloaded = False
        self._is_draining = False
        self._is_closing = False

    # ---- what everyone may ask

    def models(self) -> tuple[ModelInfo, ...]:
        """Every model, in the catalog's order."""
        return tuple(self._info(slot) for slot in self._slots.current())

    def find(self, model: str) -> ModelInfo:
        """By id or alias; `name:latest` and `name` are the same. Raises ModelNotFound."""
        return self._info(self._slots.find(model))

    def entry(self, model: str) -> ModelEntry:
        """What the catalog says of a model, by id or alias. Raises ModelNotFound."""
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
        if self._is_closing:
            return True
        if self._owner is None or self._owner.done():
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
        be served),
        ModelLoading (the load takes longer than the pool's deadline) or Draining.
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

    def bring_with(self, bring: Callable[[str], Awaitable[None]]) -> None:
        """Have `bring` download models that are absent when a lease asks for them, instead of
        refusing it. It returns once `replace` was called with the model's entry."""
        self._bring = bring

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
        self._owner = asyncio.create_task(self._own(), name="pool")

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
        self._is_draining = self._is_closing = True
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
        self._is_draining = self._is_closing = True
        self._loader.stop()
        if self._owner is None:
            return
        self._inbox.put_nowait(Stopped())
        with suppress(asyncio.CancelledError):
            await self._owner
        while self._effects:
            await asyncio.wait(set(self._effects))
        while not self._inbox.empty():
            self._settle(self._inbox.get_nowait())
        await self.abort()
        for slot in self._slots:
            if slot.resident is not None and not slot.leases:
                await slot.resident.close()
                slot.retire()

    # ---- the owner

    async def _own(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._next_check()):
                    event = await self._inbox.get()
            except TimeoutError:
                event = None
            if isinstance(event, Stopped):
                for slot in self._slots:
                    slot.refuse(closing())
                return
            try:
                if event is not None:
                    self._settle(event)
                self._act()
            except Exception:  # the pool must outlive a mistake in one model's handling
                _log.exception("pool failed to handle an event", happened=type(event).__name__)

    def _settle(self, event: Event) -> None:
        match event:
            case Asked(slot, waiter):
                self._want(slot, waiter)
            case Dismissed(slot, gone):
                slot.dismissals.append(gone)
            case Released(slot, keep_alive):
                slot.leases -= 1
                slot.last_used = time.monotonic()
                if keep_alive is not None:
                    slot.keep_alive = keep_alive
            case Measured(slot, memory):
                self._finish_measuring(slot, memory)
            case Loaded(slot, result, seconds):
                self._finish_load(slot, result, seconds)
            case Unloaded(slot):
                slot.retire()
                if slot.is_replaced:
                    self._slots.forget(slot)
            case Changed() | Stopped():
                pass

    def _want(self, slot: Slot, waiter: Waiter) -> None:
        if slot.is_replaced:
            try:
                slot = self._slots.find(slot.entry.id)
            except ModelNotFound as error:
                waiter.set_exception(error)
                return
        now = time.monotonic()
        is_resting = slot.state == "failed" and now - slot.failed_at < _FAILURE_REST
        if self._is_closing:
            waiter.set_exception(closing())
        elif is_resting and slot.error is not None:
            waiter.set_exception(slot.error)
        else:
            slot.wait(waiter)
            if slot.state == "hot" and not slot.is_broken:
                slot.last_used = now
                slot.grant()

    def _act(self) -> None:
        """Bring what is loaded nearer to what is wanted."""
        if self._is_closing:
            return
        for slot in self._slots:
            slot.forget_gone_waiters()
        waiting = [slot for slot in self._slots if slot.waiters and not _is_coming(slot)]
        for slot in waiting:
            if slot.memory is None and not slot.is_measured:
                slot.is_measured = True
                self._spawn(self._measure(slot))
        waiting = [slot for slot in waiting if slot.memory is not None]
        waiting.sort(key=lambda slot: slot.waiting_since)
        residents = [slot.as_resident() for slot in self._slots if slot.is_resident]
        wanted = [Wanted(slot.name, slot.memory_taken) for slot in waiting]
        plan = make_plan(wanted, residents, self._limit)
        by_name = {slot.name: slot for slot in waiting}
        for name in plan.hopeless:
            by_name[name].refuse(no_place(by_name[name], residents, self._limit))
        for name in plan.load:
            self._begin_load(by_name[name])
        for slot in self._slots:
            if not slot.is_resident:
                slot.tell_dismissals()
            elif slot.resident is not None and not slot.is_leaving:
                self._drain_or_keep(slot, self._reason_to_leave(slot, plan.drain))

    def _reason_to_leave(self, slot: Slot, unwanted: Sequence[str]) -> str | None:
        """Why a model must leave memory once nobody holds it; None if it may stay."""
        if slot.is_broken:
            return "engine_died"
        if slot.is_replaced:
            return "replaced"
        if slot.is_dismissed:
            return "requested"
        if slot.name in unwanted:
            return "least_recently_used"
        return "idle" if slot.expires(self._keep_alive) <= time.monotonic() else None

    def _drain_or_keep(self, slot: Slot, reason: str | None) -> None:
        """Unload what must go as soon as nobody holds it; take back what may stay after all."""
        if reason is None:
            if slot.state == "draining":
                slot.state = "hot"
                slot.grant()
            return
        slot.state = "draining"
        if slot.leases:
            return
        if reason == "engine_died":
            _log.error("engine died, model unloaded", model=slot.name)
            self._metrics.count_restart(slot.entry.id)
        self._begin_unload(slot, reason)

    async def _measure(self, slot: Slot) -> None:
        result: int | CorralError
        try:
            result = await self._loader.measure(slot.entry)
        except CorralError as error:
            result = error
        except Exception as error:
            _log.exception("measuring failed", model=slot.name)
            result = cannot_load(slot, error)
        self._inbox.put_nowait(Measured(slot, result))

    def _finish_measuring(self, slot: Slot, result: int | CorralError) -> None:
        slot.is_measured = False
        if isinstance(result, CorralError):
            self._note_failure(slot, result)
        else:
            slot.memory = result

    def _begin_load(self, slot: Slot) -> None:
        slot.state, slot.error = "loading", None
        self._spawn(self._load(slot))

    async def _load(self, slot: Slot) -> None:
        started = time.monotonic()
        _log.info("loading model", model=slot.entry.id, file=slot.entry.path.name)
        result: Resident | CorralError
        try:
            result = await self._loader.load(slot.entry)
        except CorralError as error:
            result = error
        except Exception as error:
            _log.exception("loading failed", model=slot.entry.id)
            result = cannot_load(slot, error)
        self._inbox.put_nowait(Loaded(slot, result, time.monotonic() - started))

    def _finish_load(self, slot: Slot, result: Resident | CorralError, seconds: float) -> None:
        if isinstance(result, CorralError):
            if not (isinstance(result, OutOfMemory) and self._make_more_room(slot)):
                self._note_failure(slot, result)
            return
        slot.state, slot.resident, slot.last_used = "hot", result, time.monotonic()
        slot.memory_needed = 0
        self._metrics.observe_load(slot.entry.id, seconds)
        info = result.loaded.info
        _log.info(
            "model ready",
            model=slot.entry.id,
            seconds=round(seconds, 2),
            device=info.device,
            gpu_layers=info.gpu_layers,
            context=info.context_window,
        )
        slot.grant()

    def _make_more_room(self, slot: Slot) -> bool:
        """Whether somebody can leave for a model whose load ran out of memory; then it is loaded
        again after that."""
        others = [one.as_resident() for one in self._slots if one.is_resident and one is not slot]
        if slot.is_replaced or not any(other.is_movable for other in others):
            return False
        free = self._limit.memory - sum(other.memory for other in others)
        slot.state, slot.memory_needed = "cold", max(0, free) + 1
        _log.warning("out of memory, another model leaves", model=slot.name)
        return True

    def _note_failure(self, slot: Slot, error: CorralError) -> None:
        if isinstance(error, OutOfMemory):
            others = [one for one in self._slots if one.is_resident and one is not slot]
            error = out_of_memory(slot, [one.as_resident() for one in others])
        slot.state, slot.error, slot.failed_at = "failed", error, time.monotonic()
        slot.memory_needed = 0
        if slot.is_replaced:
            self._slots.forget(slot)
        tell = _log.info if self._is_closing else _log.error  # a stopped load is no alarm
        tell("model not loaded", model=slot.entry.id, reason=error.message)
        slot.refuse(error)

    def _begin_unload(self, slot: Slot, reason: str) -> None:
        slot.is_leaving = True
        self._metrics.count_eviction(slot.entry.id, reason)
        self._spawn(self._unload(slot))

    async def _unload(self, slot: Slot) -> None:
        try:
            if slot.resident is not None:
                await slot.resident.close()
        except Exception:
            _log.exception("unloading failed", model=slot.entry.id)
        _log.info("model unloaded", model=slot.entry.id)
        self._inbox.put_nowait(Unloaded(slot))

    # ---- small helpers

    def _next_check(self) -> float:
        """Seconds until something may have to be done although nothing happens."""
        staying = (slot for slot in self._slots if not slot.is_leaving)
        expiry = min((slot.expires(self._keep_alive) for slot in staying), default=math.inf)
        return max(0.0, min(_CHECK_SECONDS, expiry - time.monotonic()))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._effects.add(task)
        task.add_done_callback(self._effects.discard)

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
        if self._is_closing:
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
        if granted:
            self._inbox.put_nowait(Released(waiter.result()))

    def _info(self, slot: Slot) -> ModelInfo:
        loaded = slot.loaded
        if loaded is None:
            return self._describe(
                slot.entry, slot.state, slot.error.message if slot.error is not None else None
            )
        left = slot.expires(self._keep_alive) - time.monotonic()
        return replace(
            loaded.info,
            state=slot.state,
            aliases=slot.entry.aliases,
            memory=slot.memory_taken,
            pinned=slot.entry.pin,
            leases=slot.leases,
            expires=time.time() + left if left < math.inf else None,
        )


def _is_coming(slot: Slot) -> bool:
    """Whether who waits for it needs no further decision."""
    return slot.state == "loading"


def _is_stuck(slot: Slot) -> bool:
    stats = slot.engine_stats
    return stats is not None and time.monotonic() - stats.heartbeat > _HANG_SECONDS
