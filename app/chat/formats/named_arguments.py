"""Formats whose calls are a name, and then the arguments as JSON."""

from app.chat.formats.chat_format import ChatFormat
from app.chat.markers import THINK_CLOSE, THINK_OPEN
from app.chat.parsers.answer import Thought
from app.chat.parsers.json_calls import JsonCalls
from app.chat.parsers.named_calls import NamedCalls

MISTRAL = ChatFormat(
    "mistral",
    ("[TOOL_CALLS]", "[ARGS]"),
    NamedCalls(
        "[TOOL_CALLS]",
        "[ARGS]",
        id_open="[CALL_ID]",
        listed=JsonCalls("[TOOL_CALLS]", ""),
    ),
    Thought("[THINK]", "[/THINK]"),
)

KIMI_K2 = ChatFormat(
    "kimi-k2",
    ("<|tool_call_begin|>", "<|tool_call_argument_begin|>"),
    NamedCalls(
        "<|tool_call_begin|>",
        "<|tool_call_argument_begin|>",
        "<|tool_call_end|>",
        is_numbered=True,
    ),
    Thought(THINK_OPEN, THINK_CLOSE, ends_at_call=True),
    call_strays=(
        "<|tool_calls_section_begin|>",
        "<|tool_call_section_begin|>",
        "<|tool_call_end|>",
        "<|tool_calls_section_end|>",
        "<|tool_call_section_end|>",
    ),
    always_thinks=True,
)

# The last ones are how the distilled models spell the first.
_DEEPSEEK_STRAYS = (
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁call▁end｜>",
    "<｜tool▁calls▁end｜>",
    "<｜tool_calls_begin｜>",
    "<｜tool calls begin｜>",
    "<｜tool\\_calls\\_begin｜>",
    "<｜tool▁calls｜>",
)

DEEPSEEK_V3_1 = ChatFormat(
    "deepseek-v3.1",
    ("<｜tool▁call▁begin｜>", "<｜tool▁sep｜>"),
    NamedCalls("<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"),
    call_strays=_DEEPSEEK_STRAYS,
)

DEEPSEEK_R1 = ChatFormat(
    "deepseek-r1",
    (*DEEPSEEK_V3_1.signs, "```json"),
    NamedCalls("function<｜tool▁sep｜>", "```json", "```"),
    call_strays=("<｜tool▁call▁begin｜>", *_DEEPSEEK_STRAYS),
)

FUNCTIONARY_V3_1 = ChatFormat(
    "functionary-v3.1",
    ("<function=example_function_name>{",),
    NamedCalls("<function=", ">", "</function>", code_open="<|python_tag|>"),
)

SOLAR = ChatFormat(
    "solar",
    ("<|tool_call:begin|>", "<|tool_call:args|>"),
    NamedCalls(
        "<|tool_call:begin|>",
        "<|tool_call:args|>",
        "<|tool_call:end|>",
        name_open="<|tool_call:name|>",
    ),
    Thought("<|think|>", "<|end|>"),
    strays=("<|begin|>assistant", "<|content|>", "<|tool_calls|>", "<|calls|>", "<|end|>"),
)

NAMED_ARGUMENTS = (MISTRAL, KIMI_K2, DEEPSEEK_R1, DEEPSEEK_V3_1, FUNCTIONARY_V3_1, SOLAR)
