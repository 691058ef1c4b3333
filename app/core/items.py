"""What conversations are made of: messages, thoughts, calls of tools and their results.

An item has an identifier of its own and stands in a tree: see `app.storage`. Items are what is
kept; `core.messages` is what a chat template reads.
"""

from dataclasses import dataclass
from typing import Literal

from app.core.events import TokenLogprob
from app.core.messages import Role

ItemStatus = Literal["in_progress", "completed", "incomplete"]
ResponseStatus = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
RUNNING: tuple[ResponseStatus, ...] = ("queued", "in_progress")


@dataclass(frozen=True, slots=True)
class ContentPart:
    """A piece of a message's text; a refusal is what its author said instead."""

    text: str
    is_refusal: bool = False


@dataclass(frozen=True, slots=True)
class MessageItem:
    """`logprobs` are those of an answer that asked for them; they are never stored."""

    id: str
    role: Role
    parts: tuple[ContentPart, ...]
    status: ItemStatus = "completed"
    logprobs: tuple[TokenLogprob, ...] | None = None

    @property
    def text(self) -> str:
        return "\n".join(part.text for part in self.parts)


@dataclass(frozen=True, slots=True)
class ThoughtItem:
    """`is_summary`: it is shown as a summary, because that was asked for."""

    id: str
    text: str
    is_summary: bool = False
    status: ItemStatus = "completed"


@dataclass(frozen=True, slots=True)
class CallItem:
    """A call of a tool. `arguments` is JSON text, or for a custom tool plain text.

    `namespace`: the group of tools that holds `name`.
    """

    id: str
    call_id: str
    name: str
    arguments: str
    namespace: str | None = None
    is_custom: bool = False
    status: ItemStatus = "completed"


@dataclass(frozen=True, slots=True)
class ResultItem:
    """What a tool returned to the call `call_id`."""

    id: str
    call_id: str
    output: str
    is_custom: bool = False
    status: ItemStatus = "completed"


Item = MessageItem | ThoughtItem | CallItem | ResultItem

PREFIXES: dict[type[Item], str] = {
    MessageItem: "msg_",
    ThoughtItem: "rs_",
    CallItem: "fc_",
    ResultItem: "fco_",
}
"""What the identifiers of each kind begin with."""


def words_of(item: Item) -> str:
    """What a search finds the item by: what was said, called or returned, but not thoughts."""
    match item:
        case MessageItem():
            return item.text
        case CallItem():
            return f"{item.name} {item.arguments}"
        case ResultItem():
            return item.output
        case ThoughtItem():
            return ""


def size_of(item: Item) -> int:
    """Characters of everything in it."""
    match item:
        case MessageItem():
            return sum(len(part.text) for part in item.parts)
        case ThoughtItem():
            return len(item.text)
        case CallItem():
            return len(item.arguments)
        case ResultItem():
            return len(item.output)
