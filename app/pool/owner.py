"""The task that owns the state of all models: events in, loading and unloading out.

Everything that happens reaches it as an event; after each it asks the pure `policy` what to do, and
orders it of `effects`, which report back as events.
"""

import asyncio
import math
import time
from collections.abc import Sequence

import structlog

from app.core.errors import CorralError, ModelNotFound, OutOfMemory
from app.llama.footprint import Footprint
from app.pool import policy
from app.pool.effects import Effects
from app.pool.events import (
    Asked,
    Changed,
    Cooled,
    Dismissed,
    Event,
    Heated,
    Loaded,
    Measured,
    Mended,
    Released,
    Stopped,
    Unloaded,
)
from app.pool.loader import Loader
from app.pool.policy import Plan, make_plan
from app.pool.ports import PoolMetrics
from app.pool.refusals import closing, no_place, out_of_memory
from app.pool.resident import Resident
from app.pool.room import Room
from app.pool.roster import Roster
from app.pool.slot import Slot, Waiter

_CHECK_SECONDS = 1.0  # how soon a dead engine is noticed
_FAILURE_REST = 5.0  # seconds before a model that failed to load is tried again

_log = structlog.stdlib.get_logger("corral.pool")


class Owner:
    """Only `run` changes slots, and `settled` once it has ended."""

    def __init__(
        self,
        slots: Roster,
        loader: Loader,
        metrics: PoolMetrics,
        *,
        limit: Room,
        keep_alive: float,
        warm_after: float,
    ) -> None:
        self._slots = slots
        self._metrics = metrics
        self._limit = limit
        self._keep_alive = keep_alive
        self._warm_after = warm_after
        self.inbox: asyncio.Queue[Event] = asyncio.Queue()
        self._effects = Effects(loader, self.inbox.put_nowait)
        self.is_closing = False

    async def settled(self) -> None:
        """Until nothing is loading or unloading any more, and all of it is known. After `run`."""
        await self._effects.settled()
        while not self.inbox.empty():
            self._settle(self.inbox.get_nowait())

    async def run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._next_check()):
                    event = await self.inbox.get()
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
            case Measured(slot, footprint):
                self._finish_measuring(slot, footprint)
            case Loaded(slot, result, seconds):
                self._finish_load(slot, result, seconds)
            case Cooled(slot):
                slot.rest()
                _log.info("model is warm", model=slot.entry.id)
            case Heated(slot, error, seconds):
                self._finish_heating(slot, error, seconds)
            case Mended(slot, replicas, error):
                self._finish_mending(slot, replicas, error)
            case Unloaded(slot):
                self._finish_unloading(slot)
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
        if self.is_closing:
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
        if self.is_closing:
            return
        for slot in self._slots:
            slot.forget_gone_waiters()
            if not slot.waiters and slot.state != "loading":
                slot.memory_needed = 0
        waiting = [slot for slot in self._slots if slot.waiters and not _is_coming(slot)]
        for slot in waiting:
            if slot.footprint is None and not slot.is_measured:
                slot.is_measured = True
                self._effects.measure(slot)
        waiting = [slot for slot in waiting if slot.footprint is not None]
        waiting.sort(key=lambda slot: slot.waiting_since)
        residents = [slot.as_resident(self._limit) for slot in self._slots if slot.is_resident]
        plan = make_plan([slot.as_wanted(self._limit) for slot in waiting], residents, self._limit)
        by_name = {slot.name: slot for slot in waiting}
        for name in plan.hopeless:
            by_name[name].refuse(no_place(by_name[name], residents, self._limit))
        for name in plan.load:
            self._begin_load(by_name[name])
        for slot in self._slots:
            if not slot.is_resident:
                slot.tell_dismissals()
            elif slot.resident is not None and not _is_changing(slot):
                self._tend(slot, slot.resident, plan)

    def _tend(self, slot: Slot, resident: Resident, plan: Plan) -> None:
        """Have a model in memory leave, cool, be mended, or stay as it is."""
        reason = self._reason_to_leave(slot, plan.drain)
        if reason is not None:
            self._drain(slot, resident, reason)
            return
        reason = self._reason_to_cool(slot, plan.cool)
        if reason is not None:
            slot.state, slot.is_cooling = "draining", True
            self._metrics.count_cooling(slot.entry.id, reason)
            self._effects.cool(slot, resident)
            return
        if slot.state == "draining":  # it may stay after all
            slot.state = "hot"
            slot.grant()
        has_rested = time.monotonic() - slot.mended_at > _FAILURE_REST
        if slot.state == "hot" and resident.is_damaged and has_rested:
            slot.is_mending = True
            self._effects.mend(slot, resident)

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

    def _reason_to_cool(self, slot: Slot, unwanted: Sequence[str]) -> str | None:
        """Why a model must go warm; None if it may stay as it is."""
        if slot.name in unwanted:
            return "least_recently_used"
        return "idle" if slot.cools(self._warm_after) <= time.monotonic() else None

    def _drain(self, slot: Slot, resident: Resident, reason: str) -> None:
        """Unload what must go as soon as nobody holds it."""
        if slot.state != "warm":
            slot.state = "draining"
        if slot.leases:
            return
        if reason == "engine_died":
            _log.error("engine died, model unloaded", model=slot.name)
            self._metrics.count_restart(slot.entry.id)
        self._begin_unload(slot, resident, reason)

    def _finish_measuring(self, slot: Slot, result: Footprint | CorralError) -> None:
        slot.is_measured = False
        if isinstance(result, CorralError):
            self._note_failure(slot, result)
        else:
            slot.footprint = result

    def _begin_load(self, slot: Slot) -> None:
        slot.state, slot.error, slot.progress = "loading", None, 0.0
        if slot.resident is not None:
            slot.progress = 1.0
            self._effects.heat(slot, slot.resident)
        else:
            self._effects.load(slot, slot.note_progress)

    def _finish_load(self, slot: Slot, result: Resident | CorralError, seconds: float) -> None:
        if isinstance(result, CorralError):
            if not (isinstance(result, OutOfMemory) and self._make_more_room(slot)):
                self._note_failure(slot, result)
            return
        slot.resident = result
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
        self._be_hot(slot)

    def _finish_heating(self, slot: Slot, error: CorralError | None, seconds: float) -> None:
        if error is None:
            self._metrics.observe_warm_start(slot.entry.id, seconds)
            _log.info("model is hot again", model=slot.entry.id, seconds=round(seconds, 3))
            self._be_hot(slot)
        elif not (isinstance(error, OutOfMemory) and self._make_more_room(slot)):
            # let it be loaded from the beginning when it is next asked for
            slot.refuse(self._explain(slot, error))
            if slot.resident is not None:
                self._begin_unload(slot, slot.resident, "failed")

    def _be_hot(self, slot: Slot) -> None:
        slot.state, slot.last_used, slot.memory_needed = "hot", time.monotonic(), 0
        slot.grant()

    def _finish_mending(self, slot: Slot, replicas: int, error: CorralError | None) -> None:
        slot.is_mending, slot.mended_at = False, time.monotonic()
        for _ in range(replicas):
            self._metrics.count_restart(slot.entry.id)
        if error is None:
            _log.error("engines died and were replaced", model=slot.name, replicas=replicas)
        else:
            _log.error("an engine died and is missing", model=slot.name, reason=error.message)

    def _make_more_room(self, slot: Slot) -> bool:
        """Whether somebody can leave for a model whose load ran out of memory; then it is loaded
        again after that."""
        others = self._others(slot)
        if slot.is_replaced or not any(other.is_movable for other in others):
            return False
        free = self._limit.memory - sum(other.memory for other in others)
        slot.state = "cold" if slot.resident is None else "warm"
        slot.memory_needed = max(0, free) + 1
        _log.warning("out of memory, another model leaves", model=slot.name)
        return True

    def _note_failure(self, slot: Slot, error: CorralError) -> None:
        error = self._explain(slot, error)
        slot.state, slot.error, slot.failed_at = "failed", error, time.monotonic()
        slot.memory_needed = 0
        if slot.is_replaced:
            self._slots.forget(slot)
        tell = _log.info if self.is_closing else _log.error  # a stopped load is no alarm
        tell("model not loaded", model=slot.entry.id, reason=error.message)
        slot.refuse(error)

    def _explain(self, slot: Slot, error: CorralError) -> CorralError:
        """What callers are told of a failure."""
        is_lack = isinstance(error, OutOfMemory)
        return out_of_memory(slot, self._others(slot)) if is_lack else error

    def _others(self, slot: Slot) -> list[policy.Resident]:
        others = (one for one in self._slots if one.is_resident and one is not slot)
        return [one.as_resident(self._limit) for one in others]

    def _finish_unloading(self, slot: Slot) -> None:
        slot.retire()
        if slot.is_replaced:
            self._slots.forget(slot)

    def _begin_unload(self, slot: Slot, resident: Resident, reason: str) -> None:
        slot.is_leaving = True
        self._metrics.count_eviction(slot.entry.id, reason)
        self._effects.unload(slot, resident)

    def _next_check(self) -> float:
        """Seconds until something may have to be done although nothing happens."""
        staying = (slot for slot in self._slots if not _is_changing(slot))
        times = (
            min(slot.expires(self._keep_alive), slot.cools(self._warm_after)) for slot in staying
        )
        return max(0.0, min(_CHECK_SECONDS, min(times, default=math.inf) - time.monotonic()))


def _is_changing(slot: Slot) -> bool:
    """Whether an effect is at work on a model in memory."""
    return slot.state == "loading" or slot.is_leaving or slot.is_cooling or slot.is_mending


def _is_coming(slot: Slot) -> bool:
    """Whether who waits for it needs no further decision."""
    return slot.state == "loading"
