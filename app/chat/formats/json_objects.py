"""Formats whose calls are JSON objects."""

from app.chat.formats.chat_format import ChatFormat
from app.chat.parsers.answer import Reply, Thought
from app.chat.parsers.json_calls import JsonCalls

# Qwen 2.5 and 3, QwQ, Hermes 2 and 3, MiMo, Reka, Bielik, Granite 4, SmolLM3, ERNIE 4.5
HERMES = ChatFormat("hermes", ("<tool_call>",), JsonCalls("<tool_call>", "</tool_call>"))

_TOOL_CALLS = JsonCalls("<tool_calls>", "</tool_calls>")
_COHERE_NAMES = ("tool_name", "name")
_COHERE_ARGUMENTS = ("parameters", "arguments")
_ACTIONS = JsonCalls(
    "<|START_ACTION|>",
    "<|END_ACTION|>",
    name_keys=_COHERE_NAMES,
    argument_keys=_COHERE_ARGUMENTS,
    id_keys=("tool_call_id",),
)
_COHERE_THOUGHT = Thought("<|START_THINKING|>", "<|END_THINKING|>")

JSON_OBJECTS = (
    ChatFormat(
        "command-r7b",
        ("<|START_ACTION|>", "<|START_RESPONSE|>"),
        _ACTIONS,
        _COHERE_THOUGHT,
        reply=Reply("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
        strays=("<|END_RESPONSE|>",),
    ),
    ChatFormat(
        "cohere2",
        ("<|START_ACTION|>", "<|START_TEXT|>"),
        _ACTIONS,
        _COHERE_THOUGHT,
        reply=Reply("<|START_TEXT|>", "<|END_TEXT|>"),
        strays=("<|END_TEXT|>",),
    ),
    ChatFormat(
        "command-r",
        ("json-formatted list of actions",),
        JsonCalls(
            "Action:\n```json",
            "```",
            name_keys=_COHERE_NAMES,
            argument_keys=_COHERE_ARGUMENTS,
            other_opens=("Action: ```json",),
        ),
        strays=("<|CHATBOT_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
    ),
    ChatFormat(
        "apriel",
        ("<tool_calls>", "[BEGIN FINAL RESPONSE]"),
        JsonCalls("<tool_calls>", "</tool_calls>", id_keys=("id",)),
        Thought("Here are my reasoning steps:\n", "[BEGIN FINAL RESPONSE]"),
        reply=Reply("", "[END FINAL RESPONSE]"),
    ),
    ChatFormat(
        "hunyuan",
        ("<tool_calls>", "<answer>"),
        _TOOL_CALLS,
        reply=Reply("<answer>", "</answer>", pad="\n"),
    ),
    # MiniMax M1, Jamba
    ChatFormat("tool-calls", ("<tool_calls>",), _TOOL_CALLS),
    ChatFormat("nemotron", ("<TOOLCALL>",), JsonCalls("<TOOLCALL>", "</TOOLCALL>")),
    # Nemo and others before the names left the JSON
    ChatFormat("mistral-nemo", ("[TOOL_CALLS]",), JsonCalls("[TOOL_CALLS]", id_keys=("id",))),
    ChatFormat("firefunction", ("functools[",), JsonCalls("functools[")),
    ChatFormat(
        "phi-4",
        ("<|tool|>",),
        JsonCalls("functools[", "<|/tool_call|>", other_opens=("<|tool_call|>",)),
    ),
    ChatFormat(
        "granite-3.2",
        ("<|tool_call|>", "Here is my thought process:"),
        JsonCalls("<|tool_call|>", other_opens=("<tool_call>",)),
        Thought("Here is my thought process:", "Here is my response:"),
    ),
    ChatFormat(
        "granite-3",
        ("<|tool_call|>",),
        JsonCalls("<|tool_call|>", other_opens=("<tool_call>",)),
        reply=Reply("<response>", "</response>", follows_thought=True),
    ),
    ChatFormat("granite-20b", ("<function_call>",), JsonCalls("<function_call>")),
    ChatFormat("gigachat-3.1", ("<|function_call|>",), JsonCalls("<|function_call|>")),
    ChatFormat(
        "gigachat-3",
        ("<|role_sep|>", "function call"),
        JsonCalls(
            "<|message_sep|>\n\nfunction call<|role_sep|>",
            other_opens=("function call<|role_sep|>",),
        ),
    ),
    ChatFormat(
        "apertus",
        ("<|tools_prefix|>",),
        JsonCalls("<|tools_prefix|>", "<|tools_suffix|>", name_keys=()),
        Thought("<|inner_prefix|>", "<|inner_suffix|>", ends_at_call=True),
    ),
    ChatFormat(
        "internlm2",
        ("<|plugin|>",),
        JsonCalls(
            "<|action_start|><|plugin|>",
            "<|action_end|>",
            argument_keys=("parameters", "arguments"),
        ),
    ),
    ChatFormat(
        "longcat",
        ("<longcat_tool_call>",),
        JsonCalls("<longcat_tool_call>", "</longcat_tool_call>"),
        Thought("<longcat_think>", "</longcat_think>"),
    ),
    HERMES,
)
