"""Gemma's own notation."""

from app.chat.formats.chat_format import ChatFormat
from app.chat.parsers.answer import Thought
from app.chat.parsers.gemma_calls import GemmaCalls

GEMMA_4 = ChatFormat(
    "gemma-4",
    ("<|tool_call>call:", '<|"|>'),
    GemmaCalls("<|tool_call>", "<tool_call|>", '<|"|>'),
    Thought("<|channel>", "<channel|>", label="thought", recurs=True),
    strays=("<channel|>",),
    call_strays=("<tool_call|>", "<|tool_response>"),
    always_thinks=True,
)

FUNCTION_GEMMA = ChatFormat(
    "functiongemma",
    ("<start_function_call>", "<escape>"),
    GemmaCalls("<start_function_call>", "<end_function_call>", "<escape>"),
    call_strays=("<end_function_call>", "<start_function_response>"),
)
