"""One model's place in the pool: its state, who holds it, who waits for it."""

import asyncio
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

Waiter = asyncio.Future[Resident]


@dataclass(slots=True)
class Slot:
    """Only the pool's owner task changes it. Times are monotonic seconds.

    `is_leaving`: unloading has begun. `waiting_since` orders models that requests wait for.
    """

    entry: ModelEntry
    state: ModelState = "cold"
    resident: Resident | None = None
    leases: int = 0
    last_used: float = 0.0
    waiting_since: float = 0.0
    is_leaving: bool = False
    waiters: deque[Waiter] = field(default_factory=deque[Waiter])
    error: CorralError | None = None
    failed_at: float = 0.0
    past: EngineStats = field(default_factory=EngineStats)

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
    def is_resident(self) -> bool:
        """Whether it takes a place in memory."""
        return self.resident is not None or self.state == "loading"

    def as_resident(self) -> policy.Resident:
        """What the policy needs to know."""
        return policy.Resident(
            name=self.entry.id,
            leases=self.leases,
            last_used=self.last_used,
            is_pinned=self.entry.pin,
            is_loading=self.state == "loading",
            is_leaving=self.is_leaving or self.is_broken,
            is_draining=self.state == "draining",
        )

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
                waiter.set_result(self.resident)

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
        self.resident = None
        self.is_leaving = False
        self.state = "cold"
