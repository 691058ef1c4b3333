"""What happens in the pool, as its owner task hears of it."""

import asyncio
from dataclasses import dataclass

from app.core.errors import CorralError
from app.llama.footprint import Footprint
from app.pool.resident import Resident
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
    """What a model will take, or why its file cannot be used."""

    slot: Slot
    footprint: Footprint | CorralError


@dataclass(frozen=True, slots=True)
class Loaded:
    """A load that ended after `seconds`."""

    slot: Slot
    result: Resident | CorralError
    seconds: float


@dataclass(frozen=True, slots=True)
class Cooled:
    """Its contexts are freed."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class Heated:
    """It has contexts again after `seconds`, or `error` says why not."""

    slot: Slot
    error: CorralError | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Mended:
    """So many of its replicas were dead and live again; or `error` says why not."""

    slot: Slot
    replicas: int
    error: CorralError | None


@dataclass(frozen=True, slots=True)
class Unloaded:
    """Nothing of it is left in memory."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class Changed:
    """There is another catalog, or somebody waits no more."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The pool closes."""


Event = (
    Asked
    | Dismissed
    | Released
    | Measured
    | Loaded
    | Cooled
    | Heated
    | Mended
    | Unloaded
    | Changed
    | Stopped
)
