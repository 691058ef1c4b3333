"""What happens in the pool, as its owner task hears of it."""

import asyncio
from dataclasses import dataclass

from app.core.errors import CorralError
from app.pool.loader import Resident
from app.pool.slot import Slot, Waiter


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody asks for a lease."""

    slot: Slot
    waiter: Waiter


@dataclass(frozen=True, slots=True)
class Dismissed:
    """Somebody wants it out of memory, and waits on `gone`."""

    slot: Slot
    gone: asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class Released:
    """A lease was given back. `keep_alive`: seconds that the model stays unused from now on; None
    where nobody said."""

    slot: Slot
    keep_alive: float | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """How many bytes a model will take, or why its file cannot be used."""

    slot: Slot
    memory: int | CorralError


@dataclass(frozen=True, slots=True)
class Loaded:
    """A load that ended after `seconds`."""

    slot: Slot
    result: Resident | CorralError
    seconds: float


@dataclass(frozen=True, slots=True)
class Unloaded:
    """Nothing of it is left in memory."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class Changed:
    """There is another catalog."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The pool closes."""


Event = Asked | Dismissed | Released | Measured | Loaded | Unloaded | Changed | Stopped
