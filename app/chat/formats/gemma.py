"""Gemma 4's own notation."""

from app.chat.formats.chat_format import ChatFormat
from app.chat.parsers.answer import Thought
from app.chat.parsers.gemma_calls import GemmaCalls

GEMMA_4 = ChatFormat(
    "gemma-4",
    ("<|tool_call>call:", '<|"|>'),
    GemmaCalls(),
    Thought("<|channel>", "<channel|>", label="thought", recurs=True),
    strays=("<channel|>",),
    call_strays=("<tool_call|>", "<|tool_response>"),
    always_thinks=True,
)
