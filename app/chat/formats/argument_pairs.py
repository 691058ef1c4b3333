"""Formats whose calls are a name with pairs of keys and values."""

from app.chat.formats.chat_format import ChatFormat
from app.chat.parsers.answer import Thought
from app.chat.parsers.argument_pairs import ArgumentPairs

_MARK = ":opensource"

GLM = ChatFormat("glm", ("<tool_call>", "<arg_key>"), ArgumentPairs())
HUNYUAN_3 = ChatFormat(
    "hunyuan-3",
    ("<tool_call{}>", "<arg_key{}>", _MARK),
    ArgumentPairs("tool_calls", "tool_sep", (_MARK, "")),
    Thought(f"<think{_MARK}>", f"</think{_MARK}>"),
)

ARGUMENT_PAIRS = (GLM, HUNYUAN_3)
