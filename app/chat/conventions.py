"""Messages as a template wants them: the forms in which templates differ, and writing them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import takewhile
from typing import Any, Literal

from app.chat.plain_schema import flatten_schema
from app.chat.tool_text import (
    CallWriter,
    calls_as_text,
    read_arguments,
    results_as_user,
    tell_tools,
)
from app.core.messages import Message, Tool, ToolCall

SHORT_ID = 9
ReasoningForm = Literal["reasoning_content", "reasoning", "thinking", "part", "blocks"]


@dataclass(frozen=True, slots=True)
class Conventions:
    """In which form a template reads messages. The defaults are what most expect.

    `no_tools`: what `tools` is when there are none ("undefined": it is left out).
    `parts`: when content is a list of parts instead of text.
    `joins_system`: which system messages become one at the start.
    `text_arguments`: arguments are JSON text instead of an object.
    `empty_content`: the content of a message that is nothing but calls.
    `splits_content`: content and calls stand in messages of their own.
    `splits_calls`: each call stands in a message of its own, its result after it.
    `short_ids`: ids of calls have nine letters and digits.
    `names_results`: a tool's message names the tool.
    `reasoning`: the field for earlier thoughts, or how content holds them; None drops them.
    `joins_reasoning`: beside calls, content is the end of the thought.
    `flat_schemas`: each value in a tool's parameters has one type and a description.
    `tools`, `calls`, `results`: what the template cannot write is told in plain text.
    """

    no_tools: Literal["none", "undefined", "empty"] = "none"
    parts: Literal["never", "several", "always"] = "never"
    joins_system: Literal["never", "leading", "all"] = "never"
    text_arguments: bool = False
    empty_content: Literal["", "none", "undefined"] = ""
    splits_content: bool = False
    splits_calls: bool = False
    short_ids: bool = False
    names_results: bool = False
    reasoning: ReasoningForm | None = None
    joins_reasoning: bool = False
    flat_schemas: bool = False
    tools: Literal["field", "system", "user"] = "field"
    calls: CallWriter | None = None
    results: Literal["tool", "user"] = "tool"


def write_messages(
    messages: Sequence[Message], said: Conventions, tools: Sequence[Tool] = ()
) -> list[dict[str, Any]]:
    """Messages as a template reads them. OpenAI's `developer` is `system`."""
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    prepared = _join_system(messages, said)
    if tools and said.tools != "field":
        prepared = tell_tools(
            prepared, tools, has_system=said.tools == "system", with_form=said.calls is not None
        )
    if said.calls is not None:
        prepared = [calls_as_text(message, said.calls) for message in prepared]
    if said.results == "user":
        prepared = list(results_as_user(prepared))
    if said.splits_calls:
        prepared = list(_split_calls(prepared))
    if said.splits_content:
        prepared = [half for message in prepared for half in _split_content(message)]
    return [_write(message, said, names) for message in prepared]


def choose_tools(tools: Sequence[Tool], said: Conventions) -> Sequence[Tool]:
    """The tools with parameters that the template can write."""
    if not said.flat_schemas:
        return tools
    return [replace(tool, parameters=flatten_schema(tool.parameters or {})) for tool in tools]


def _join_system(messages: Sequence[Message], said: Conventions) -> list[Message]:
    plain = [
        replace(message, role="system") if message.role == "developer" else message
        for message in messages
    ]
    leading = list(takewhile(lambda message: message.role == "system", plain))
    rest = plain[len(leading) :]
    if said.joins_system == "all":
        leading += [message for message in rest if message.role == "system"]
        rest = [message for message in rest if message.role != "system"]
    if said.joins_system == "never" or len(leading) < 2:
        return leading + rest
    joined = "\n\n".join(message.content for message in leading if message.content)
    return [Message("system", joined), *rest]


def _split_calls(messages: Sequence[Message]) -> Iterator[Message]:
    """One call in a message, each before its result."""
    left = list(messages)
    while left:
        message = left.pop(0)
        if len(message.tool_calls) < 2:
            yield message
            continue
        results = list(takewhile(lambda other: other.role == "tool", left))
        del left[: len(results)]
        for number, call in enumerate(message.tool_calls):
            said = message if number == 0 else Message("assistant", name=message.name)
            yield replace(said, tool_calls=(call,))
            yield from (one for one in results if one.tool_call_id == call.id)
        known = {call.id for call in message.tool_calls}
        yield from (one for one in results if one.tool_call_id not in known)


def _split_content(message: Message) -> Iterator[Message]:
    if message.content and message.tool_calls:
        yield replace(message, tool_calls=())
        message = replace(message, content=None, parts=(), reasoning=None)
    yield message


def _write(message: Message, said: Conventions, names: dict[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = {"role": message.role}
    content, reasoning = message.content or "", message.reasoning
    if reasoning and message.tool_calls and said.joins_reasoning and content:
        reasoning, content = f"{reasoning}\n\n{content}", ""
    if content or not message.tool_calls or said.empty_content == "":
        made["content"] = _write_content(message, content, said)
    elif said.empty_content == "none":
        made["content"] = None
    if said.reasoning == "blocks" and message.role == "assistant":
        made["content"] = _write_blocks(reasoning, content)
    elif reasoning and said.reasoning == "part":
        thought = {"type": "thinking", "thinking": reasoning}
        made["content"] = [thought, _text_part(content)] if content else [thought]
    elif reasoning and said.reasoning is not None:
        made[said.reasoning] = reasoning
    if message.tool_calls:
        made["tool_calls"] = [_write_call(call, said) for call in message.tool_calls]
    if message.tool_call_id is not None:
        made["tool_call_id"] = _write_id(message.tool_call_id, said)
    name = message.name
    if name is None and said.names_results and message.tool_call_id is not None:
        name = names.get(message.tool_call_id)
    if name is not None:
        made["name"] = name
    return made


def _write_content(message: Message, content: str, said: Conventions) -> Any:
    several = message.role != "tool" and len(message.parts) > 1 and content == message.content
    if said.parts == "always":
        return [_text_part(part) for part in (message.parts if several else (content,))]
    if said.parts == "several" and several:
        return [_text_part(part) for part in message.parts]
    return content


def _write_blocks(reasoning: str | None, content: str) -> dict[str, Any]:
    """Content that may hold a thought; such templates want all of a conversation's like this."""
    blocks = (("thoughts", reasoning), ("response", content))
    return {"blocks": [{"type": kind, "text": text} for kind, text in blocks if text]}


def _text_part(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def _write_call(call: ToolCall, said: Conventions) -> dict[str, Any]:
    arguments: Any = None if said.text_arguments else read_arguments(call.arguments)
    if arguments is None:
        arguments = call.arguments
    function = {"name": call.name, "arguments": arguments}
    return {"id": _write_id(call.id, said), "type": "function", "function": function}


def _write_id(call_id: str, said: Conventions) -> str:
    is_short = len(call_id) == SHORT_ID and call_id.isascii() and call_id.isalnum()
    if not said.short_ids or is_short:
        return call_id
    return sha256(call_id.encode("utf-8", "replace")).hexdigest()[:SHORT_ID]
