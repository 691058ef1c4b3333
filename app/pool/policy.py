"""Which models to load and which to let go: a pure function of what is wanted and what is there."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resident:
    """A model that takes a place in memory.

    `is_leaving`: its unloading has begun and cannot be called back. `is_loading`: it is not there
    yet and cannot be given up. `is_draining`: it was chosen to leave before.
    """

    name: str
    leases: int = 0
    last_used: float = 0.0
    is_pinned: bool = False
    is_loading: bool = False
    is_leaving: bool = False
    is_draining: bool = False

    @property
    def is_movable(self) -> bool:
        return not (self.is_pinned or self.is_loading or self.is_leaving)


@dataclass(frozen=True, slots=True)
class Plan:
    """`load` now; `drain`: give no more leases and unload once the last one is returned.

    `hopeless` are wanted models for which no place can ever be made.
    """

    load: tuple[str, ...] = ()
    drain: tuple[str, ...] = ()
    hopeless: tuple[str, ...] = ()


def make_plan(wanted: Sequence[str], residents: Sequence[Resident], limit: int) -> Plan:
    """`wanted` are models that requests wait for, longest wait first.

    At most `limit` models are in memory at once. Idle models leave before leased ones, the least
    recently used first; a leased one is only drained, so that a busy model cannot keep another
    out forever. Pinned models never leave. The plan depends on nothing else: made again later, it
    calls back models that need not leave any more.
    """
    room = max(0, limit - len(residents))
    leaving = {resident.name for resident in residents if resident.is_leaving}
    staying = {resident.name for resident in residents} - leaving
    missing = [name for name in wanted if name not in staying]
    load = [name for name in missing if name not in leaving][:room]
    unserved = [name for name in missing if name not in load]
    if unserved and sum(resident.is_pinned for resident in residents) >= limit:
        return Plan(tuple(load), (), tuple(unserved))
    movable = sorted(
        (resident for resident in residents if resident.is_movable),
        key=lambda it: (it.leases > 0, not it.is_draining, it.last_used),
    )
    needed = max(0, len(unserved) - len(leaving))
    return Plan(tuple(load), tuple(resident.name for resident in movable[:needed]))
