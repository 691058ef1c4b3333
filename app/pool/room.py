"""How much a model takes of what models may take together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Room:
    """Places for models, and bytes for them together; `devices` are the bytes of these on GPUs, by
    the GPU's name. What a limit does not speak of is not bounded."""

    models: int = 0
    memory: int = 0
    devices: Mapping[str, int] = field(default_factory=dict[str, int])

    def __add__(self, other: "Room") -> "Room":
        return Room(
            self.models + other.models,
            self.memory + other.memory,
            _combine(self.devices, other.devices, 1),
        )

    def __sub__(self, other: "Room") -> "Room":
        return Room(
            self.models - other.models,
            self.memory - other.memory,
            _combine(self.devices, other.devices, -1),
        )

    def holds(self, other: "Room") -> bool:
        """Whether `other` fits in."""
        return (
            self.models >= other.models
            and self.memory >= other.memory
            and all(self.devices.get(name, 0) >= size for name, size in other.devices.items())
        )

    def within(self, limit: "Room") -> "Room":
        """Only the devices that `limit` bounds."""
        kept = {name: size for name, size in self.devices.items() if name in limit.devices}
        return Room(self.models, self.memory, kept)


NOTHING = Room()


def total(rooms: Iterable[Room]) -> Room:
    """All of them together."""
    found = NOTHING
    for room in rooms:
        found += room
    return found


def _combine(left: Mapping[str, int], right: Mapping[str, int], sign: int) -> dict[str, int]:
    return (
        {name: left.get(name, 0) + sign * right.get(name, 0) for name in (*left, *right)}
        if right
        else dict(left)
    )
