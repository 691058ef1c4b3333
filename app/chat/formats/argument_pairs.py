"""Formats whose calls are a name with pairs of keys and values."""

from app.chat.formats.chat_format import ChatFormat
from app.chat.markers import THINK_CLOSE, THINK_OPEN
from app.chat.parsers.answer import Thought
from app.chat.parsers.argument_pairs import ArgumentPairs

_MARK = ":opensource"

GLM = ChatFormat("glm", ("<tool_call>", "<arg_key>"), ArgumentPairs())
LING = ChatFormat(
    "ling",
    (*GLM.signs, "<|role_end|>"),
    ArgumentPairs(),
    Thought(THINK_OPEN, THINK_CLOSE, ends_at_call=True),
    strays=("<|role_end|>",),
)
HUNYUAN_3 = ChatFormat(
    "hunyuan-3",
    ("<tool_call{}>", "<arg_key{}>", _MARK),
    ArgumentPairs("tool_calls", "tool_sep", (_MARK, "")),
    Thought(f"<think{_MARK}>", f"</think{_MARK}>"),
)

# The more particular come first.
ARGUMENT_PAIRS = (LING, GLM, HUNYUAN_3)
