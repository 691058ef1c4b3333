"""Formats whose arguments are nested elements."""

from app.chat.formats.chat_format import ChatFormat
from app.chat.parsers.answer import Thought
from app.chat.parsers.nested_xml import NestedXml

MINIMAX_M3 = ChatFormat(
    "minimax-m3",
    ("]<]minimax[>[", "<tool_call>", "<invoke name="),
    NestedXml("]<]minimax[>["),
    Thought("<mm:think>", "</mm:think>"),
)
