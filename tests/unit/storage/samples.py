"""Items and responses to store."""

from typing import Any

from app.core.ids import make_id
from app.core.items import CallItem, ContentPart, ItemStatus, MessageItem, ResultItem, ThoughtItem
from app.core.messages import Role
from app.storage.records import Response

ME, YOU = "me", "you"


def message(text: str, role: Role = "user", status: ItemStatus = "completed") -> MessageItem:
    return MessageItem(make_id("msg_"), role, (ContentPart(text),), status)


def answer(text: str, status: ItemStatus = "completed") -> MessageItem:
    return message(text, "assistant", status)


def thought(text: str) -> ThoughtItem:
    return ThoughtItem(make_id("rs_"), text)


def call(name: str = "get_weather", arguments: str = '{"city": "Rome"}') -> CallItem:
    return CallItem(make_id("fc_"), make_id("call_"), name, arguments)


def result(called: CallItem, output: str = "sunny") -> ResultItem:
    return ResultItem(make_id("fco_"), called.call_id, output)


def response(**fields: Any) -> Response:
    return Response(make_id("resp_"), "tiny", 1_800_000_000.0, {"tools": []}, **fields)
