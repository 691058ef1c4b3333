"""Formats that send each part of an answer to a channel or a recipient."""

from app.chat.formats.chat_format import ChatFormat
from app.chat.lark import Outset
from app.chat.parsers.answer import Reply, Thought
from app.chat.parsers.atem import Atem, AtemCalls, write_message
from app.chat.parsers.harmony import Harmony, HarmonyCalls
from app.chat.parsers.named_calls import NamedCalls
from app.chat.parsers.recipients import Recipients

GPT_OSS = ChatFormat(
    "gpt-oss",
    ("<|start|>", "<|channel|>", "<|message|>"),
    HarmonyCalls("<|channel|>commentary to=functions.", "<|message|>", ("<|call|>",)),
    Thought("<|channel|>analysis<|message|>", "<|end|>", ends_at_call=True),
    layout=Harmony,
    turn="<|start|>assistant",
    reply=Reply("<|channel|>final<|message|>"),
)

FUNCTIONARY_V3_2 = ChatFormat(
    "functionary-v3.2",
    (">>>all",),
    NamedCalls(">>>", "\n"),
    layout=Recipients,
    reply=Reply(">>>all\n"),
)

MUSE = ChatFormat(
    "muse",
    ("<|start|>", "<|message|>", "<atem:function_calls>"),
    AtemCalls(),
    Thought(" to=self<|message|>", "<|eom|>"),
    layout=Atem,
    turn="<|start|>assistant",
    reply=Reply(" to=user<|message|>"),
    outset=Outset(" to=", "<|eom|><|start|>assistant to=", write_message),
)

CHANNELS = (GPT_OSS, FUNCTIONARY_V3_2, MUSE)
