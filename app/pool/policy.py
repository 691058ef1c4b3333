"""Which models to load and which to let go: a pure function of what is wanted and what is there."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Room:
    """Places for models, and bytes for them together."""

    models: int
    memory: int

    def __add__(self, other: "Room") -> "Room":
        return Room(self.models + other.models, self.memory + other.memory)

    def __sub__(self, other: "Room") -> "Room":
        return Room(self.models - other.models, self.memory - other.memory)

    def holds(self, other: "Room") -> bool:
        return self.models >= other.models and self.memory >= other.memory


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model that requests wait for, and the bytes it will take."""

    name: str
    memory: int = 0

    @property
    def room(self) -> Room:
        return Room(1, self.memory)


@dataclass(frozen=True, slots=True)
class Resident:
    """A model that takes a place in memory.

    `is_leaving`: it leaves, whatever the plan, once nobody holds it; when that is, nobody knows.
    `is_loading`: it is not there yet and cannot be given up. `is_draining`: it was chosen to leave
    before.
    """

    name: str
    memory: int = 0
    leases: int = 0
    last_used: float = 0.0
    is_pinned: bool = False
    is_loading: bool = False
    is_leaving: bool = False
    is_draining: bool = False

    @property
    def room(self) -> Room:
        return Room(1, self.memory)

    @property
    def is_going(self) -> bool:
        """Whether its place is free in a moment."""
        return self.is_leaving and not self.leases

    @property
    def is_movable(self) -> bool:
        return not (self.is_pinned or self.is_loading or self.is_going)


@dataclass(frozen=True, slots=True)
class Plan:
    """`load` now; `drain`: give no more leases and unload once the last one is returned.

    `hopeless` are wanted models for which no place can ever be made.
    """

    load: tuple[str, ...] = ()
    drain: tuple[str, ...] = ()
    hopeless: tuple[str, ...] = ()


def make_plan(wanted: Sequence[Wanted], residents: Sequence[Resident], limit: Room) -> Plan:
    """`wanted` are models that requests wait for, longest wait first.

    What is in memory never exceeds `limit`. Idle models leave before leased ones, the least
    recently used first; a leased one is only drained, so that a busy model cannot keep another
    out forever. Pinned models never leave. What is free goes to who waits longest; a later one
    may have what the earlier ones will not need. The plan depends on nothing else: made again
    later, it calls back models that need not leave any more.
    """
    leaving = {resident.name: resident for resident in residents if resident.is_leaving}
    staying = {resident.name for resident in residents} - leaving.keys()
    pinned = _sum([resident for resident in residents if resident.is_pinned])
    free = limit - _sum(residents)
    # what will be free once those that leave have left, less what earlier ones will take of it
    coming = free + _sum([resident for resident in residents if resident.is_going])
    movable = sorted(
        (resident for resident in residents if resident.is_movable),
        key=lambda it: (it.leases > 0, not (it.is_draining or it.is_leaving), it.last_used),
    )
    load: list[str] = []
    drain: list[str] = []
    hopeless: list[str] = []
    for one in wanted:
        if one.name in staying:
            continue
        if not (limit - pinned).holds(one.room):
            hopeless.append(one.name)
            continue
        former = leaving.get(one.name)
        if former in movable:  # it must be gone before the same model can come again
            movable.remove(former)
            coming += former.room
        if former is None and free.holds(one.room) and coming.holds(one.room):
            load.append(one.name)
            free -= one.room
        else:
            for victim in _choose_victims(one.room - coming, movable):
                drain.append(victim.name)
                movable.remove(victim)
                coming += victim.room
        coming -= one.room
    return Plan(tuple(load), tuple(drain), tuple(hopeless))


def _choose_victims(missing: Room, movable: Sequence[Resident]) -> list[Resident]:
    """The first of `movable` that together make up for `missing`, without those that turn out
    not to be needed; nobody where all of them do not suffice."""
    nothing = Room(0, 0)
    chosen: list[Resident] = []
    for resident in movable:
        if nothing.holds(missing - _sum(chosen)):
            break
        chosen.append(resident)
    if not nothing.holds(missing - _sum(chosen)):
        return []
    for resident in chosen[:-1]:
        others = [other for other in chosen if other is not resident]
        if nothing.holds(missing - _sum(others)):
            chosen = others
    return chosen


def _sum(residents: Sequence[Resident]) -> Room:
    return Room(len(residents), sum(resident.memory for resident in residents))
