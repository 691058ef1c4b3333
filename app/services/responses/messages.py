"""From items to the messages that a chat template reads."""

import json
from collections.abc import Iterable, Sequence

from app.core.items import CallItem, Item, MessageItem, ResultItem, ThoughtItem, size_of
from app.core.messages import Message, ToolCall
from app.services.responses.assembly import CUSTOM_FIELD
from app.services.responses.names import join_name


def read_messages(instructions: str | None, items: Iterable[Item]) -> tuple[Message, ...]:
    """A thought, a text and calls of one answer, in this order, are one message. A call that was
    cut off is left out: nobody has run it, and its arguments are half a text."""
    messages: list[Message] = []
    if instructions:
        messages.append(Message("system", instructions))
    answer: list[Item] = []
    for item in items:
        if isinstance(item, CallItem) and item.status != "completed":
            continue
        if answer and not _goes_on(answer, item):
            messages.append(_join(answer))
            answer = []
        if isinstance(item, ResultItem):
            messages.append(Message("tool", item.output, tool_call_id=item.call_id))
        elif isinstance(item, MessageItem) and item.role != "assistant":
            messages.append(_read(item))
        else:
            answer.append(item)
    if answer:
        messages.append(_join(answer))
    return tuple(messages)


def cut_oldest(items: Sequence[Item], share: float) -> list[Item] | None:
    """Without about `share` of the items' text: whole turns from the beginning; messages of the
    system stay. None where only the last turn is left."""
    turns = _split(items)
    sizes = [sum(map(size_of, turn)) for turn in turns]
    wanted, cut = share * sum(sizes), 0
    while cut < len(turns) - 1 and (cut == 0 or wanted > 0):
        wanted -= sizes[cut]
        cut += 1
    if cut == 0:
        return None
    kept = [item for turn in turns[:cut] for item in turn if _is_system(item)]
    return kept + [item for turn in turns[cut:] for item in turn]


def _split(items: Sequence[Item]) -> list[list[Item]]:
    """Each turn begins with what a user says."""
    turns: list[list[Item]] = [[]]
    for item in items:
        is_user = isinstance(item, MessageItem) and item.role == "user"
        if is_user and any(not _is_system(earlier) for earlier in turns[-1]):
            turns.append([])
        turns[-1].append(item)
    return turns


def _is_system(item: Item) -> bool:
    return isinstance(item, MessageItem) and item.role in {"system", "developer"}


def _goes_on(answer: Sequence[Item], item: Item) -> bool:
    """Whether `item` belongs to the message that `answer` makes so far."""
    last = answer[-1]
    match item:
        case ThoughtItem():
            return isinstance(last, ThoughtItem)
        case MessageItem():
            return item.role == "assistant" and isinstance(last, ThoughtItem)
        case CallItem():
            return True
        case ResultItem():
            return False


def _join(answer: Sequence[Item]) -> Message:
    thoughts = [item.text for item in answer if isinstance(item, ThoughtItem)]
    texts = [item for item in answer if isinstance(item, MessageItem)]
    calls = tuple(
        ToolCall(item.call_id, join_name(item.namespace, item.name), _spell(item))
        for item in answer
        if isinstance(item, CallItem)
    )
    said = _read(texts[0]) if texts else Message("assistant", None)
    reasoning = "\n".join(thoughts) or None
    content = said.content if texts or calls else ""
    return Message("assistant", content, reasoning, calls, parts=said.parts)


def _read(item: MessageItem) -> Message:
    parts = tuple(part.text for part in item.parts)
    return Message(item.role, item.text, parts=parts if len(parts) > 1 else ())


def _spell(item: CallItem) -> str:
    return json.dumps({CUSTOM_FIELD: item.arguments}) if item.is_custom else item.arguments
