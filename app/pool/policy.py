"""What to load, to cool and to let go: a pure function of what is wanted and what is there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from app.pool.room import NOTHING, Room, total


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model that requests wait for, and the bytes it will take. `is_warm`: it has its place and
    its weights, and wants only the bytes of its contexts."""

    name: str
    memory: int = 0
    devices: Mapping[str, int] = field(default_factory=dict[str, int])
    is_warm: bool = False

    @property
    def room(self) -> Room:
        return Room(0 if self.is_warm else 1, self.memory, self.devices)


@dataclass(frozen=True, slots=True)
class Resident:
    """A model that takes a place in memory.

    `contexts`: what becomes free of it when it goes warm, nothing where it has gone or must not.
    `is_warm`: it has gone. `is_cooling`: it goes in a moment.
    `is_leaving`: it leaves, whatever the plan, once nobody holds it; when that is, nobody knows.
    `is_loading`: it is not there yet, or not hot yet, and cannot be given up. `is_draining`: it was
    chosen to leave before.
    """

    name: str
    memory: int = 0
    leases: int = 0
    last_used: float = 0.0
    devices: Mapping[str, int] = field(default_factory=dict[str, int])
    contexts: Room = NOTHING
    is_pinned: bool = False
    is_loading: bool = False
    is_leaving: bool = False
    is_draining: bool = False
    is_cooling: bool = False
    is_warm: bool = False

    @property
    def room(self) -> Room:
        return Room(1, self.memory, self.devices)

    @property
    def is_going(self) -> bool:
        """Whether its place is free in a moment."""
        return self.is_leaving and not self.leases

    @property
    def is_movable(self) -> bool:
        return not (self.is_pinned or self.is_loading or self.is_cooling or self.is_going)

    @property
    def can_cool(self) -> bool:
        busy = self.leases or self.is_leaving or self.is_warm
        return self.is_movable and not busy and self.contexts != NOTHING


@dataclass(frozen=True, slots=True)
class Plan:
    """`load` now, or heat what is warm; `cool`: free the contexts of these; `drain`: give no more
    leases and unload once the last one is returned.

    `hopeless` are wanted models for which no place can ever be made.
    """

    load: tuple[str, ...] = ()
    drain: tuple[str, ...] = ()
    hopeless: tuple[str, ...] = ()
    cool: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Move:
    """One way to make room: a model goes warm, or leaves."""

    resident: Resident
    cools: bool

    @property
    def gain(self) -> Room:
        return self.resident.contexts if self.cools else self.resident.room


def make_plan(wanted: Sequence[Wanted], residents: Sequence[Resident], limit: Room) -> Plan:
    """`wanted` are models that requests wait for, longest wait first.

    What is in memory never exceeds `limit`. Idle models make room before leased ones, the least
    recently used first: one that is hot goes warm, one that is warm leaves, and those that are hot
    leave too where that is not enough. A leased one is only drained, so that a busy model cannot
    keep another out forever. Pinned models stay as they are. What is free goes to who waits
    longest; a later one may have what the earlier ones will not need. The plan depends on nothing
    else: made again later, it calls back models that need not leave any more.
    """
    present = {resident.name: resident for resident in residents}
    pinned = total(resident.room for resident in residents if resident.is_pinned)
    free = limit - total(resident.room for resident in residents)
    # what will be free once those that leave have left, less what earlier ones will take of it
    coming = free + total(_coming(resident) for resident in residents)
    movable = sorted(
        (resident for resident in residents if resident.is_movable),
        key=lambda it: (it.leases > 0, not (it.is_draining or it.is_leaving), it.last_used),
    )
    load: list[str] = []
    hopeless: list[str] = []
    moves: dict[str, _Move] = {}
    for one in wanted:
        own = present.get(one.name)
        is_here = own is not None and not own.is_leaving
        if is_here and (not one.is_warm or one.name in moves):
            continue
        kept = pinned
        if own is not None and is_here and not own.is_pinned:
            kept += own.room
        if not (limit - kept).holds(one.room):
            hopeless.append(one.name)
            continue
        if own in movable:  # nobody makes room for itself, but by being gone before it comes again
            movable.remove(own)
            coming += NOTHING if is_here else own.room
        if (own is None or is_here) and free.holds(one.room) and coming.holds(one.room):
            load.append(one.name)
            free -= one.room
        else:
            for move in _choose_moves(one.room - coming, movable):
                moves[move.resident.name] = move
                movable.remove(move.resident)
                coming += move.gain
        coming -= one.room
    return Plan(
        load=tuple(load),
        drain=tuple(name for name, move in moves.items() if not move.cools),
        hopeless=tuple(hopeless),
        cool=tuple(name for name, move in moves.items() if move.cools),
    )


def _coming(resident: Resident) -> Room:
    """What of it will be free in a moment."""
    if resident.is_going:
        return resident.room
    return resident.contexts if resident.is_cooling else NOTHING


def _list_moves(movable: Sequence[Resident]) -> Iterator[_Move]:
    """From the one that costs least to the one that costs most."""
    idle = [resident for resident in movable if not resident.leases]
    for resident in idle:
        yield _Move(resident, cools=resident.can_cool)
    for resident in idle:
        if resident.can_cool:
            yield _Move(resident, cools=False)
    for resident in movable:
        if resident.leases:
            yield _Move(resident, cools=False)


def _choose_moves(missing: Room, movable: Sequence[Resident]) -> list[_Move]:
    """The first moves that together make up for `missing`, without those that turn out not to be
    needed; none where all of them do not suffice."""
    chosen: list[_Move] = []
    for move in _list_moves(movable):
        if NOTHING.holds(missing - _gain(chosen)):
            break
        # who leaves need not cool
        chosen = [other for other in chosen if other.resident is not move.resident] + [move]
    if not NOTHING.holds(missing - _gain(chosen)):
        return []
    for move in chosen[:-1]:
        others = [other for other in chosen if other is not move]
        if NOTHING.holds(missing - _gain(others)):
            chosen = others
    return chosen


def _gain(moves: Sequence[_Move]) -> Room:
    return total(move.gain for move in moves)
