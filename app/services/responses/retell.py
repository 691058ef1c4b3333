"""A response's stream once more, from what is stored: where its log is gone, or in another process.

Of responses in the background the store knows how their streams were numbered, so that who was cut
off goes on behind the last event that arrived. Nobody is cut off from others: they end with him.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from app.core.items import RUNNING, CallItem, ContentPart, Item, MessageItem, ThoughtItem
from app.services.responses.assembly import close_item, open_item
from app.services.responses.events import Added, Announced, Ended, ResponseEvent
from app.services.responses.run import Numbered
from app.storage.records import Response


def retell(response: Response, output: Sequence[Item]) -> list[Numbered]:
    """The events so far. Without numbers of their own, each text is one piece."""
    events = _begin(response)
    pieces = response.pieces or {}
    places = {identifier: index for index, identifier in enumerate(pieces)}
    number = len(events)
    for index, item in enumerate(output):
        first, lengths = _numbers_of(item, pieces, number)
        made = _describe(places.get(item.id, index), item, lengths)
        events += enumerate(made, first)
        number = first + len(made)
    if response.status not in RUNNING:
        events.append((max(response.last_event, number), Ended(response, tuple(output))))
    return events


def _begin(response: Response) -> list[Numbered]:
    begun = replace(response, status="in_progress", completed_at=None, usage=None)
    begun = replace(begun, reason=None, error=None)
    waiting = replace(begun, status="queued")
    if not response.is_background:
        return [(0, Announced("created", begun)), (1, Announced("in_progress", begun))]
    events: list[Numbered] = [(0, Announced("created", waiting)), (1, Announced("queued", waiting))]
    # what ended in the queue was never in progress
    if response.status != "queued" and response.last_event != len(events):
        events.append((len(events), Announced("in_progress", begun)))
    return events


def _numbers_of(
    item: Item, pieces: Mapping[str, Sequence[int]], number: int
) -> tuple[int, Sequence[int]]:
    """Of the first event, and the lengths of the pieces."""
    if item.id in pieces:
        first, *lengths = pieces[item.id]
        return first, lengths
    return number, [len(_text_of(item))]


def _describe(index: int, item: Item, lengths: Sequence[int]) -> list[ResponseEvent]:
    opened, text = _empty(item), _text_of(item)
    events, start = open_item(index, opened), 0
    for length in lengths:
        events.append(Added(index, opened, text[start : start + length]))
        start += length
    return events if item.status == "in_progress" else [*events, *close_item(index, item)]


def _text_of(item: Item) -> str:
    return item.arguments if isinstance(item, CallItem) else getattr(item, "text", "")


def _empty(item: Item) -> Item:
    match item:
        case MessageItem():
            return replace(item, parts=(ContentPart(""),), status="in_progress")
        case ThoughtItem():
            return replace(item, text="", status="in_progress")
        case CallItem():
            return replace(item, arguments="", status="in_progress")
        case _:
            return item
