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
from app.pool.effects import Effects
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
from app.pool.loader import Loader, Resident
from app.pool.policy import Room, Wanted, make_plan
from app.pool.ports import PoolMetrics
from app.pool.refusals import closing, no_place, out_of_memory
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
    ) -> None:
        self._slots = slots
        self._metrics = metrics
        self._limit = limit
        self._keep_alive = keep_alive
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
        waiting = [slot for slot in self._slots if slot.waiters and not _is_coming(slot)]
        for slot in waiting:
            if slot.memory is None and not slot.is_measured:
                slot.is_measured = True
                self._effects.measure(slot)
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

    def _finish_measuring(self, slot: Slot, result: int | CorralError) -> None:
        slot.is_measured = False
        if isinstance(result, CorralError):
            self._note_failure(slot, result)
        else:
            slot.memory = result

    def _begin_load(self, slot: Slot) -> None:
        slot.state, slot.error = "loading", None
        self._effects.load(slot)

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
        tell = _log.info if self.is_closing else _log.error  # a stopped load is no alarm
        tell("model not loaded", model=slot.entry.id, reason=error.message)
        slot.refuse(error)

    def _begin_unload(self, slot: Slot, reason: str) -> None:
        slot.is_leaving = True
        self._metrics.count_eviction(slot.entry.id, reason)
        self._effects.unload(slot)

    def _next_check(self) -> float:
        """Seconds until something may have to be done although nothing happens."""
        staying = (slot for slot in self._slots if not slot.is_leaving)
        expiry = min((slot.expires(self._keep_alive) for slot in staying), default=math.inf)
        return max(0.0, min(_CHECK_SECONDS, expiry - time.monotonic()))


def _is_coming(slot: Slot) -> bool:
    """Whether who waits for it needs no further decision."""
    return slot.state == "loading"
