"""One model's place in the pool: its state, who holds it, who waits for it."""

import asyncio
import math
import time
from collections import deque
from dataclasses import dataclass, field

from app.catalog.entries import ModelEntry
from app.core.errors import CorralError
from app.core.models import ModelState
from app.core.stats import EngineStats
from app.llama.footprint import Footprint
from app.pool import policy
from app.pool.loaded import LoadedModel
from app.pool.resident import Resident
from app.pool.room import Room
from app.pool.tally import add_counters, keep_counters

Waiter = asyncio.Future["Slot"]


@dataclass(slots=True, eq=False)
class Slot:
    """Only the pool's owner task changes it. Times are monotonic seconds.

    `footprint`: what it will take, None until it was measured; `is_measured`: that goes on.
    `memory_needed`: bytes that it is to have instead, after a load that ran out of memory.
    `progress`: share that is loaded, 0 to 1; the loading thread writes it.
    `keep_alive`: seconds that it stays unused in memory, if a lease said so. `is_leaving`:
    unloading has begun. `is_cooling`: its contexts are being freed. `is_mending`: dead replicas
    are being replaced; `mended_at` is when that was last tried. `is_replaced`: the manifest has
    another entry of that name, or none; what is loaded serves those who hold it, and nobody else.
    `waiting_since` orders models that requests wait for. `dismissals` are told once it has left
    memory.
    """

    entry: ModelEntry
    state: ModelState = "cold"
    resident: Resident | None = None
    leases: int = 0
    last_used: float = 0.0
    footprint: Footprint | None = None
    is_measured: bool = False
    memory_needed: int = 0
    progress: float = 0.0
    keep_alive: float | None = None
    waiting_since: float = 0.0
    is_leaving: bool = False
    is_cooling: bool = False
    is_mending: bool = False
    mended_at: float = -math.inf
    is_replaced: bool = False
    waiters: deque[Waiter] = field(default_factory=deque[Waiter])
    dismissals: list[asyncio.Future[None]] = field(default_factory=list[asyncio.Future[None]])
    error: CorralError | None = None
    failed_at: float = 0.0
    past: EngineStats = field(default_factory=EngineStats)

    @property
    def name(self) -> str:
        """How logs and the policy call it: what was replaced is not the model of that name."""
        return f"{self.entry.id} (replaced)" if self.is_replaced else self.entry.id

    @property
    def loaded(self) -> LoadedModel | None:
        return self.resident.loaded if self.resident is not None else None

    @property
    def engine_stats(self) -> EngineStats | None:
        """The present engine's own snapshot; None where there is none, as in a warm model."""
        loaded = self.loaded if self.state in ("hot", "draining") else None
        return loaded.engine.stats if loaded is not None and loaded.engine is not None else None

    @property
    def is_broken(self) -> bool:
        """In memory, with an engine that died."""
        stats = None if self.is_leaving or self.is_cooling else self.engine_stats
        return stats is not None and not stats.is_alive

    @property
    def stats(self) -> EngineStats | None:
        """Counters over all its engines, None for a model that never had one."""
        present = self.engine_stats
        if present is not None:
            return add_counters(self.past, present)
        return self.past if self.past != EngineStats() else None

    @property
    def room(self) -> Room:
        """What it takes, or will when it is loaded."""
        return self.room_warm if self.state == "warm" else self.room_hot

    @property
    def room_hot(self) -> Room:
        """What it takes while it is hot."""
        now = self.resident.memory if self.resident is not None else 0
        expected = self.footprint or Footprint()
        memory = max(expected.total, self.memory_needed, now)
        return Room(1, memory, expected.total_on)

    @property
    def room_warm(self) -> Room:
        """What it takes while it is warm."""
        expected = self.footprint or Footprint()
        weights = self.resident.weights if self.resident is not None else expected.weights
        return Room(1, weights, expected.weights_on)

    @property
    def is_resident(self) -> bool:
        """Whether it takes a place in memory."""
        return self.resident is not None or self.state == "loading"

    @property
    def is_dismissed(self) -> bool:
        """Whether somebody waits for it to leave memory."""
        return any(not dismissal.done() for dismissal in self.dismissals)

    @property
    def must_leave(self) -> bool:
        """Whether it leaves memory whatever anybody wants, once nobody holds it."""
        return self.is_leaving or self.is_broken or self.is_replaced or self.is_dismissed

    def expires(self, default: float) -> float:
        """When it leaves memory if nobody uses it; infinite for never, or while it is used.
        `default`: seconds, where neither a lease nor the manifest says."""
        if self.resident is None or self.leases or self.waiters or self.entry.pin:
            return math.inf
        said = self.keep_alive if self.keep_alive is not None else self.entry.keep_alive
        return self.last_used + (default if said is None else said)

    def cools(self, default: float) -> float:
        """When it goes warm if nobody uses it; infinite for never, or while it is used. `default`:
        seconds, where the manifest does not say."""
        if self.state != "hot" or self.leases or self.waiters or self.entry.pin:
            return math.inf
        said = self.entry.warm_after
        return self.last_used + (default if said is None else said)

    def as_wanted(self, limit: Room) -> policy.Wanted:
        """What the policy needs to know of a model that requests wait for."""
        is_warm = self.state == "warm" and not self.must_leave
        room = (self.room_hot - self.room_warm if is_warm else self.room_hot).within(limit)
        return policy.Wanted(self.name, room.memory, room.devices, is_warm)

    def as_resident(self, limit: Room) -> policy.Resident:
        """What the policy needs to know of a model in memory."""
        room, pin = self.room.within(limit), self.entry.pin
        return policy.Resident(
            name=self.name,
            memory=room.memory,
            leases=self.leases,
            last_used=self.last_used,
            devices=room.devices,
            contexts=room - self.room_warm.within(limit),
            is_pinned=pin and not self.must_leave,
            is_loading=self.state == "loading" or self.is_mending,
            is_leaving=self.must_leave,
            is_draining=self.state == "draining",
            is_cooling=self.is_cooling,
            is_warm=self.state == "warm",
        )

    def wait(self, waiter: Waiter) -> None:
        if not self.waiters:
            self.waiting_since = time.monotonic()
        self.waiters.append(waiter)

    def forget_gone_waiters(self) -> None:
        """Drop those whose caller left or lost patience."""
        self.waiters = deque(waiter for waiter in self.waiters if not waiter.done())

    def grant(self) -> None:
        """Give everyone who waits a lease on what is loaded."""
        if self.resident is None:
            return
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                self.leases += 1
                waiter.set_result(self)

    def refuse(self, error: CorralError) -> None:
        """Tell everyone who waits that it will not happen."""
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_exception(error)

    def note_progress(self, share: float) -> None:
        """From the loading thread."""
        self.progress = share

    def rest(self) -> None:
        """The contexts are gone: keep what the engine counted."""
        self._keep_counters()
        self.is_cooling = False
        self.state = "warm"

    def retire(self) -> None:
        """The resident is gone: keep what its engine counted."""
        self._keep_counters()
        self.resident = self.keep_alive = None
        self.is_leaving = False
        self.state = "cold"
        self.tell_dismissals()

    def _keep_counters(self) -> None:
        stats = self.stats
        if stats is not None:
            self.past = keep_counters(stats)

    def tell_dismissals(self) -> None:
        """It is not in memory (any more)."""
        for dismissal in self.dismissals:
            if not dismissal.done():
                dismissal.set_result(None)
        self.dismissals.clear()
