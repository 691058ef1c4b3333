"""Formats that send each part of an answer to a channel or a recipient."""

from app.chat.formats.chat_format import ChatFormat
from app.chat.parsers.answer import Thought
from app.chat.parsers.harmony import Harmony
from app.chat.parsers.named_calls import NamedCalls

GPT_OSS = ChatFormat(
    "gpt-oss",
    ("<|start|>", "<|channel|>", "<|message|>"),
    NamedCalls("<|channel|>commentary to=functions.", "<|constrain|>json<|message|>", "<|call|>"),
    Thought("<|channel|>analysis<|message|>", "<|end|>"),
    Harmony,
)

CHANNELS = (GPT_OSS,)
