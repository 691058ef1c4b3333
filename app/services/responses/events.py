"""What happens to a response while it is made. The number of an event is its place in the log, so
that who was cut off can go on behind the last one that arrived.

Order: Announced (created, perhaps queued, in_progress), then for each item ItemOpened, PartOpened
(messages and thoughts), any number of Added, Filled, PartClosed, ItemClosed, and at last Ended.
`index` counts the items of the output.
"""

from dataclasses import dataclass
from typing import Literal

from app.core.events import TokenLogprob
from app.core.items import Item
from app.storage.records import Response


@dataclass(frozen=True, slots=True)
class Announced:
    stage: Literal["created", "queued", "in_progress"]
    response: Response


@dataclass(frozen=True, slots=True)
class ItemOpened:
    """`item` is empty so far."""

    index: int
    item: Item


@dataclass(frozen=True, slots=True)
class PartOpened:
    index: int
    item: Item


@dataclass(frozen=True, slots=True)
class Added:
    """A piece of text, or of a call's arguments. `item` is what it was when it was opened."""

    index: int
    item: Item
    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Filled:
    """Nothing more is added; `item` is whole."""

    index: int
    item: Item


@dataclass(frozen=True, slots=True)
class PartClosed:
    index: int
    item: Item


@dataclass(frozen=True, slots=True)
class ItemClosed:
    index: int
    item: Item


@dataclass(frozen=True, slots=True)
class Ended:
    response: Response
    output: tuple[Item, ...]


ResponseEvent = (
    Announced | ItemOpened | PartOpened | Added | Filled | PartClosed | ItemClosed | Ended
)
