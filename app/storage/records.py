"""What is stored, as the services see it. Times are Unix seconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from app.core.items import Item, ResponseStatus
from app.core.usage import Usage

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted: `limit` entries behind the one called `after`."""

    limit: int = 20
    after: str | None = None
    is_descending: bool = True


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    rows: tuple[T, ...]
    has_more: bool


@dataclass(frozen=True, slots=True)
class Conversation:
    """`head`: the item at the end of what is shown. `model`: of the last answer. `preview`: how the
    first message of a user begins. `snippet`: where a search found something."""

    id: str
    created_at: float
    updated_at: float
    metadata: Mapping[str, str]
    head: str | None = None
    model: str | None = None
    preview: str | None = None
    snippet: str | None = None


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item and its place. `response_id`: the response that it came with; `is_output`: from."""

    item: Item
    parent_id: str | None
    created_at: float
    response_id: str | None = None
    is_output: bool = False
    model: str | None = None
    conversation_id: str | None = None


@dataclass(frozen=True, slots=True)
class Timings:
    """Of an answer, in seconds since its request was accepted."""

    queue_seconds: float | None = None
    ttft_seconds: float | None = None
    total_seconds: float | None = None
    tokens_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class ResponseError:
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Response:
    """A response without its items.

    `tail`: the last item that it answers to, None for nothing. `reason`: why it is incomplete.
    `echo`: what it says of its request, as the API wrote it. `last_event`: the number of the last
    event of its stream. `is_stored`: it can be found again. `pieces`: of each item of its output
    the number of the first event about it, then how many characters each piece of its text had;
    kept of those in the background, and there only where it was read from the store.
    """

    id: str
    model: str
    created_at: float
    echo: Mapping[str, Any]
    status: ResponseStatus = "queued"
    conversation_id: str | None = None
    previous_id: str | None = None
    tail: str | None = None
    completed_at: float | None = None
    reason: str | None = None
    error: ResponseError | None = None
    is_background: bool = False
    is_stored: bool = True
    last_event: int = 0
    usage: Usage | None = None
    timings: Timings = field(default_factory=Timings)
    pieces: Mapping[str, Sequence[int]] | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """A chat completion: `messages` of its request and `body` of its answer, as they were sent."""

    id: str
    created_at: float
    model: str
    metadata: Mapping[str, str]
    messages: tuple[Mapping[str, Any], ...]
    body: Mapping[str, Any]
