"""Formats whose calls are a name, and then the arguments as JSON."""

from app.chat.formats.chat_format import ChatFormat
from app.chat.markers import THINK_CLOSE, THINK_OPEN
from app.chat.parsers.answer import Reply, Thought
from app.chat.parsers.json_calls import JsonCalls
from app.chat.parsers.named_calls import NamedCalls

MISTRAL = ChatFormat(
    "mistral",
    ("[TOOL_CALLS]", "[ARGS]"),
    NamedCalls(
        "[TOOL_CALLS]",
        "[ARGS]",
        id_open="[CALL_ID]",
        listed=JsonCalls("[TOOL_CALLS]", id_keys=("id",)),
    ),
    Thought("[THINK]", "[/THINK]"),
)

KIMI_K2 = ChatFormat(
    "kimi-k2",
    ("<|tool_call_begin|>", "<|tool_call_argument_begin|>"),
    NamedCalls(
        "<|tool_call_begin|>",
        "<|tool_call_argument_begin|>",
        ("<|tool_call_end|>",),
        section_open="<|tool_calls_section_begin|>",
        section_close="<|tool_calls_section_end|>",
        is_numbered=True,
    ),
    Thought(THINK_OPEN, THINK_CLOSE, ends_at_call=True),
    call_strays=(
        "<|tool_call_section_begin|>",
        "<|tool_call_end|>",
        "<|tool_calls_section_end|>",
        "<|tool_call_section_end|>",
    ),
    always_thinks=True,
)

DEEPSEEK_V3_1 = ChatFormat(
    "deepseek-v3.1",
    ("<｜tool▁call▁begin｜>", "<｜tool▁sep｜>"),
    NamedCalls(
        "<｜tool▁call▁begin｜>",
        "<｜tool▁sep｜>",
        ("<｜tool▁call▁end｜>",),
        section_open="<｜tool▁calls▁begin｜>",
        section_close="<｜tool▁calls▁end｜>",
    ),
    call_strays=("<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>"),
)

DEEPSEEK_R1 = ChatFormat(
    "deepseek-r1",
    (*DEEPSEEK_V3_1.signs, "```json"),
    NamedCalls(
        "<｜tool▁call▁begin｜>function<｜tool▁sep｜>",
        "\n```json\n",
        ("\n```", "<｜tool▁call▁end｜>"),
        section_open="<｜tool▁calls▁begin｜>",
        section_close="<｜tool▁calls▁end｜>",
        bare_open="function<｜tool▁sep｜>",
    ),
    call_strays=(
        *DEEPSEEK_V3_1.call_strays,
        "<｜tool▁call▁begin｜>",
        # how the distilled models spell what opens a section
        "<｜tool_calls_begin｜>",
        "<｜tool calls begin｜>",
        "<｜tool\\_calls\\_begin｜>",
        "<｜tool▁calls｜>",
    ),
)

FUNCTIONARY_V3_1 = ChatFormat(
    "functionary-v3.1",
    ("<function=example_function_name>{",),
    NamedCalls("<function=", ">", ("</function>",), code_open="<|python_tag|>"),
)

SOLAR = ChatFormat(
    "solar",
    ("<|tool_call:begin|>", "<|tool_call:args|>"),
    NamedCalls(
        "<|tool_call:begin|>",
        "<|tool_call:args|>",
        ("<|tool_call:end|>",),
        section_open="<|tool_calls|>",
        section_close="<|calls|>",
        name_open="<|tool_call:name|>",
    ),
    Thought("<|think|>", "<|end|>"),
    strays=("<|begin|>assistant", "<|content|>", "<|end|>"),
    turn="<|begin|>assistant",
    reply=Reply("<|content|>", "<|end|>"),
    call_strays=("<|calls|>",),
)

NAMED_ARGUMENTS = (MISTRAL, KIMI_K2, DEEPSEEK_R1, DEEPSEEK_V3_1, FUNCTIONARY_V3_1, SOLAR)
