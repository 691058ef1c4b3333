"""From the events of an answer to the items of a response."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from app.core.events import (
    Event,
    Finished,
    ReasoningDelta,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from app.core.ids import make_id
from app.core.items import (
    PREFIXES,
    CallItem,
    ContentPart,
    Item,
    ItemStatus,
    MessageItem,
    ThoughtItem,
)
from app.services.responses.events import (
    Added,
    Filled,
    ItemClosed,
    ItemOpened,
    PartClosed,
    PartOpened,
    ResponseEvent,
)

CUSTOM_FIELD = "input"
"""The one argument of a custom tool, as the model is told of it."""


@dataclass(frozen=True, slots=True)
class ToolName:
    """How a tool that the model knows by one name is called by whoever offers it."""

    name: str
    namespace: str | None = None
    is_custom: bool = False


@dataclass(slots=True)
class Draft:
    """An item that is being written. `opened`: what it was at first."""

    index: int
    opened: Item
    pieces: list[str] = field(default_factory=list[str])
    logprobs: list[TokenLogprob] = field(default_factory=list[TokenLogprob])

    def read(self, status: ItemStatus) -> Item:
        """What is written so far."""
        text = "".join(self.pieces)
        match self.opened:
            case MessageItem():
                told = None if self.opened.logprobs is None else tuple(self.logprobs)
                parts = (ContentPart(text),)
                return replace(self.opened, parts=parts, status=status, logprobs=told)
            case CallItem():
                if self.opened.is_custom:
                    text = read_input(text)
                return replace(self.opened, arguments=text, status=status)
            case ThoughtItem():
                return replace(self.opened, text=text, status=status)
            case _:
                return self.opened


class Assembly:
    """One response's output while it is written. `is_summary`: thoughts are shown as summaries."""

    def __init__(
        self,
        names: Mapping[str, ToolName],
        *,
        is_summary: bool,
        hides_thoughts: bool,
        wants_logprobs: bool,
    ) -> None:
        self.closed: list[Item] = []
        self.draft: Draft | None = None
        self._names = names
        self._is_summary = is_summary
        self._hides_thoughts = hides_thoughts
        self._wants_logprobs = wants_logprobs

    @property
    def output(self) -> tuple[Item, ...]:
        """All items, the last one as far as it is written."""
        if self.draft is None:
            return tuple(self.closed)
        return (*self.closed, self.draft.read("in_progress"))

    def feed(self, events: Iterable[Event]) -> list[ResponseEvent]:
        made: list[ResponseEvent] = []
        for event in events:
            match event:
                case ReasoningDelta() if self._hides_thoughts:
                    pass
                case ReasoningDelta():
                    made += self._go_on(ThoughtItem, self._open_thought)
                    made += self._add(event.text)
                case TextDelta():
                    made += self._go_on(MessageItem, self._open_message)
                    made += self._add(event.text, event.logprobs)
                case ToolCallStart():
                    made += self.close()
                    made += self._open(self._make_call(event))
                case ToolCallDelta():
                    made += self._add(event.arguments)
                case ToolCallEnd():
                    made += self.close()
                case Finished():
                    made += self.finish("incomplete" if event.reason == "length" else "completed")
                case _:
                    pass
        return made

    def finish(self, status: ItemStatus) -> list[ResponseEvent]:
        """Close what is open; an answer without anything is an empty message."""
        made: list[ResponseEvent] = []
        if self.draft is None and not self.closed and status == "completed":
            made += self._open(self._open_message())
        return [*made, *self.close(status)]

    def close(self, status: ItemStatus = "completed") -> list[ResponseEvent]:
        draft, self.draft = self.draft, None
        if draft is None:
            return []
        item = draft.read(status)
        self.closed.append(item)
        made: list[ResponseEvent] = []
        if isinstance(item, CallItem) and item.is_custom:
            made.append(Added(draft.index, draft.opened, item.arguments))
        return [*made, *close_item(draft.index, item)]

    def _go_on(self, kind: type[Item], make: Callable[[], Item]) -> list[ResponseEvent]:
        """Have an item of this kind open."""
        if self.draft is not None and isinstance(self.draft.opened, kind):
            return []
        return [*self.close(), *self._open(make())]

    def _open(self, item: Item) -> list[ResponseEvent]:
        self.draft = Draft(len(self.closed), item)
        return open_item(self.draft.index, item)

    def _add(self, text: str, logprobs: tuple[TokenLogprob, ...] = ()) -> list[ResponseEvent]:
        draft = self.draft
        if draft is None:
            return []
        draft.pieces.append(text)
        draft.logprobs += logprobs
        if isinstance(draft.opened, CallItem) and draft.opened.is_custom:
            return []  # what the model writes is JSON, and is read when it is whole
        return [Added(draft.index, draft.opened, text, logprobs)] if text or logprobs else []

    def _open_thought(self) -> Item:
        return ThoughtItem(_make_id(ThoughtItem), "", self._is_summary, "in_progress")

    def _open_message(self) -> Item:
        logprobs = () if self._wants_logprobs else None
        identifier = _make_id(MessageItem)
        return MessageItem(identifier, "assistant", (ContentPart(""),), "in_progress", logprobs)

    def _make_call(self, event: ToolCallStart) -> Item:
        known = self._names.get(event.name, ToolName(event.name))
        return CallItem(
            id=_make_id(CallItem),
            call_id=event.id,
            name=known.name,
            arguments="",
            namespace=known.namespace,
            is_custom=known.is_custom,
            status="in_progress",
        )


def read_input(arguments: str) -> str:
    """The text that a custom tool is given."""
    try:
        given: Any = json.loads(arguments)
        return str(given[CUSTOM_FIELD])
    except (ValueError, KeyError, TypeError):
        return arguments


def open_item(index: int, item: Item) -> list[ResponseEvent]:
    """The events before its text; `item` is empty."""
    opened: list[ResponseEvent] = [ItemOpened(index, item)]
    return opened if isinstance(item, CallItem) else [*opened, PartOpened(index, item)]


def close_item(index: int, item: Item) -> list[ResponseEvent]:
    """The events behind its text; `item` is whole."""
    filled: list[ResponseEvent] = [Filled(index, item)]
    if not isinstance(item, CallItem):
        filled.append(PartClosed(index, item))
    return [*filled, ItemClosed(index, item)]


def _make_id(kind: type[Item]) -> str:
    return make_id(PREFIXES[kind])
