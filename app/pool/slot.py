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
from app.pool import policy
from app.pool.loaded import LoadedModel
from app.pool.loader import Resident
from app.pool.tally import add_counters, keep_counters

Waiter = asyncio.Future["Slot"]


@dataclass(slots=True, eq=False)
class Slot:
    """Only the pool's owner task changes it. Times are monotonic seconds.

    `memory`: bytes that it will take, None until it was measured; `is_measured`: that goes on.
    `memory_needed`: what must be free for it instead, after a load that ran out of memory.
    `keep_alive`: seconds that it stays unused in memory, if a lease said so. `is_leaving`:
    unloading has begun. `is_replaced`: the manifest has another entry of that name, or none; what
    is loaded serves those who hold it, and nobody else. `waiting_since` orders models that
    requests wait for. `dismissals` are told once it has left memory.
    """

    entry: ModelEntry
    state: ModelState = "cold"
    resident: Resident | None = None
    leases: int = 0
    last_used: float = 0.0
    memory: int | None = None
    is_measured: bool = False
    memory_needed: int = 0
    keep_alive: float | None = None
    waiting_since: float = 0.0
    is_leaving: bool = False
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
        """The living engine's own snapshot."""
        loaded = self.loaded
        return loaded.engine.stats if loaded is not None and loaded.engine is not None else None

    @property
    def is_broken(self) -> bool:
        """In memory, with an engine that died."""
        stats = self.engine_stats
        return stats is not None and not stats.is_alive

    @property
    def stats(self) -> EngineStats | None:
        """Counters over all its engines, None for a model that never had one."""
        present = self.engine_stats
        if present is not None:
            return add_counters(self.past, present)
        return self.past if self.past != EngineStats() else None

    @property
    def memory_taken(self) -> int:
        """Bytes that it takes, or will when it is loaded."""
        now = self.resident.memory() if self.resident is not None else self.memory_needed
        return max(self.memory or 0, now)

    @property
    def is_resident(self) -> bool:
        """Whether it takes a place in memory."""
        return self.resident is not None or self.state == "loading"

    @property
    def is_dismissed(self) -> bool:
        """Whether somebody waits for it to leave memory."""
        return any(not dismissal.done() for dismissal in self.dismissals)

    def expires(self, default: float) -> float:
        """When it leaves memory if nobody uses it; infinite for never, or while it is used.
        `default`: seconds, where neither a lease nor the manifest says."""
        if self.resident is None or self.leases or self.waiters or self.entry.pin:
            return math.inf
        said = self.keep_alive if self.keep_alive is not None else self.entry.keep_alive
        return self.last_used + (default if said is None else said)

    def as_resident(self) -> policy.Resident:
        """What the policy needs to know."""
        return policy.Resident(
            name=self.name,
            memory=self.memory_taken,
            leases=self.leases,
            last_used=self.last_used,
            is_pinned=self.entry.pin and not (self.is_replaced or self.is_dismissed),
            is_loading=self.state == "loading",
            is_leaving=self.is_leaving or self.is_broken or self.is_replaced or self.is_dismissed,
            is_draining=self.state == "draining",
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

    def retire(self) -> None:
        """The resident is gone: keep what its engine counted."""
        stats = self.stats
        if stats is not None:
            self.past = keep_counters(stats)
        self.resident = self.keep_alive = None
        self.is_leaving = False
        self.state = "cold"
        self.tell_dismissals()

    def tell_dismissals(self) -> None:
        """It is not in memory (any more)."""
        for dismissal in self.dismissals:
            if not dismissal.done():
                dismissal.set_result(None)
        self.dismissals.clear()
