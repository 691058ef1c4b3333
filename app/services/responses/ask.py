"""What a response is asked for with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.core.items import Item
from app.core.requests import GenerationRequest
from app.services.responses.assembly import ToolName


@dataclass(frozen=True, slots=True)
class Reference:
    """An item that is stored already stands here."""

    id: str


@dataclass(frozen=True, slots=True)
class Place:
    """In a conversation: behind the item `after`, at its very beginning, or (None) at its head."""

    conversation: str
    after: str | None = None
    is_first: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked for. `request` has one chat prompt whose messages are put in here.

    `echo`: what the response says of its request. `is_stored` None: where anything is.
    `cuts_history`: what does not fit is left out, oldest turns first. `names`: tools that are not
    called what the model knows them by.
    """

    request: GenerationRequest
    items: tuple[Item | Reference, ...]
    echo: Mapping[str, object]
    instructions: str | None = None
    place: Place | None = None
    previous_id: str | None = None
    is_stored: bool | None = None
    is_background: bool = False
    cuts_history: bool = False
    has_summaries: bool = False
    hides_thoughts: bool = False
    names: Mapping[str, ToolName] = field(default_factory=dict[str, ToolName])
