"""Tools as plain text, for templates that have no place for them.

The tools are listed in the system message. Earlier calls become the text that the model wrote, in
the form in which answers of a model with this template are read.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, cast

from app.core.messages import Message, Tool, ToolCall

CallWriter = Callable[[Sequence[ToolCall]], str]

_LIST = """\
You may call these functions:
<tools>
{tools}
</tools>"""
_FORM = """
To call one, write its name and arguments as JSON inside tags:
<tool_call>
{"name": ..., "arguments": {...}}
</tool_call>"""


def write_function(tool: Tool) -> dict[str, Any]:
    """Templates go through `properties` without looking whether there are any."""
    parameters: dict[str, Any] = {"type": "object", "properties": {}}
    parameters |= tool.parameters or {}
    return {"name": tool.name, "description": tool.description or "", "parameters": parameters}


def write_tools(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    return [{"type": "function", "function": write_function(tool)} for tool in tools]


def read_arguments(text: str) -> dict[str, Any] | None:
    """The arguments of a call; None where they are no JSON object."""
    try:
        parsed: Any = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else None


def tell_tools(
    messages: Sequence[Message], tools: Sequence[Tool], *, has_system: bool, with_form: bool
) -> list[Message]:
    """The messages with a list of tools, in the system message where the template has one.

    `with_form`: also say how to call them, because the template never shows it.
    """
    listed = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in write_tools(tools))
    text = _LIST.replace("{tools}", listed) + (_FORM if with_form else "")
    role = "system" if has_system else "user"
    for index, message in enumerate(messages):
        if message.role == role:
            parts = (message.content or "", text) if has_system else (text, message.content or "")
            told = replace(message, content="\n\n".join(filter(None, parts)), parts=())
            return [*messages[:index], told, *messages[index + 1 :]]
    return [Message(role, text), *messages]


def calls_as_text(message: Message, write: CallWriter) -> Message:
    if not message.tool_calls:
        return message
    written = write(message.tool_calls)
    content = f"{message.content}\n{written}" if message.content else written
    return replace(message, content=content, tool_calls=(), parts=())


def results_as_user(messages: Sequence[Message]) -> Iterator[Message]:
    """Neighbouring results are one message: such templates want roles to take turns."""
    for is_result, some in groupby(messages, lambda message: message.role == "tool"):
        if is_result:
            wrapped = (f"<tool_response>\n{one.content or ''}\n</tool_response>" for one in some)
            yield Message("user", "\n".join(wrapped))
        else:
            yield from some


def find_writer(source: str) -> CallWriter:
    """How a model with this template writes calls that the template does not write itself."""
    return next((write for sign, write in _WRITERS.items() if sign in source), _write_tagged)


def _as_object(call: ToolCall) -> str:
    arguments = call.arguments if read_arguments(call.arguments) is not None else "{}"
    return f'{{"name": {json.dumps(call.name, ensure_ascii=False)}, "arguments": {arguments}}}'


def _write_tagged(calls: Sequence[ToolCall]) -> str:
    return "\n".join(f"<tool_call>\n{_as_object(call)}\n</tool_call>" for call in calls)


def _write_listed(calls: Sequence[ToolCall]) -> str:
    return f"<|tool_call|>[{', '.join(map(_as_object, calls))}]"


def _write_python(calls: Sequence[ToolCall]) -> str:
    written: list[str] = []
    for call in calls:
        given = read_arguments(call.arguments) or {}
        named = ", ".join(f"{name}={_as_python(value)}" for name, value in given.items())
        written.append(f"{call.name}({named})")
    return f"<|tool_call_start|>[{', '.join(written)}]<|tool_call_end|>"


def _as_python(value: Any) -> str:
    """JSON's strings, but Python's constants."""
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        pairs = (f"{json.dumps(key)}: {_as_python(one)}" for key, one in items)
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_as_python, cast('list[Any]', value)))}]"
    return json.dumps(value, ensure_ascii=False)


# what the source of such templates holds (IBM's Granite 3, Liquid's LFM2)
_WRITERS: Mapping[str, CallWriter] = {
    "<|tool_call|>": _write_listed,
    "<|tool_list_start|>": _write_python,
    "List of tools: [": _write_python,
}
