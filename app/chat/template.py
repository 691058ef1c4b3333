"""A model's chat template: messages in, prompt text out."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from jinja2 import Template

from app.chat.budget import RENDER_SECONDS, OutOfTime, budget
from app.chat.default_template import CHATML
from app.chat.environment import TemplateRaised, make_environment
from app.chat.markers import THINK_CLOSE, THINK_OPEN
from app.core.errors import BadRequest, TemplateRefused
from app.core.messages import Message, Tool, ToolCall

MAX_PROMPT_CHARACTERS = 16 * 1024 * 1024
MAX_TEMPLATE_CHARACTERS = 1024 * 1024
_PROBE_SECONDS = 1.0
_RESERVED = frozenset({"messages", "tools", "add_generation_prompt", "bos_token", "eos_token"})


@dataclass(frozen=True, slots=True)
class TemplateTraits:
    """What a template can do, found by trying it once.

    `thinking`: the template knows `<think>`. `problem`: why it cannot render one plain message.
    """

    tools: bool
    thinking: bool
    problem: str | None = None


class TemplateTooSlow(TemplateRefused):
    """The template took longer than it was given."""


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """`opens_reasoning`: the model's first token is already inside a thinking block."""

    text: str
    opens_reasoning: bool


class ChatTemplate:
    """One compiled template. Rendering is pure, bounded in time and size, and safe from any
    thread."""

    def __init__(self, source: str | None, *, bos_token: str = "", eos_token: str = "") -> None:
        self.source = CHATML if source is None else source
        self._names = {"bos_token": bos_token, "eos_token": eos_token}
        if len(self.source) > MAX_TEMPLATE_CHARACTERS:
            raise TemplateRefused("The model's chat template is broken: it is too large.")
        try:
            self._template: Template = make_environment().from_string(self.source)
        except Exception as error:  # Python's compiler has limits of its own
            raise TemplateRefused(f"The model's chat template is broken: {error}") from error
        self.traits = self._probe()

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        variables: Mapping[str, Any] | None = None,
        seconds: float | None = None,
    ) -> RenderedPrompt:
        """The prompt after which the model writes the next assistant message.

        A last message of the assistant's own (without tool calls) is continued: the prompt ends
        with its text. Raises TemplateRefused with the template's message, TemplateTooSlow when it
        takes longer than `seconds` (by default RENDER_SECONDS).
        """
        extra = variables or {}
        for name in extra:
            if name in _RESERVED:
                param = f"chat_template_kwargs.{name}"
                raise BadRequest(f"'{param}' is set by the server.", param=param)
        prefill = _prefill_of(messages)
        history = messages[:-1] if prefill else messages
        text = self._run(
            messages=[_as_dict(message) for message in history],
            tools=[_as_tool(tool) for tool in tools] or None,
            variables=extra,
            seconds=RENDER_SECONDS if seconds is None else seconds,
        )
        if prefill:
            return self._continue(text, prefill)
        return RenderedPrompt(text, opens_reasoning=_is_open(text))

    def _continue(self, text: str, prefill: Message) -> RenderedPrompt:
        """Append the start of an answer, closing or adding the thinking before it."""
        content, reasoning = prefill.content or "", prefill.reasoning or ""
        if _is_open(text):
            if not content:
                return RenderedPrompt(text + reasoning, opens_reasoning=True)
            text += f"{reasoning}\n{THINK_CLOSE}\n\n"
        elif reasoning:
            text += f"{THINK_OPEN}\n{reasoning}"
            if not content:
                return RenderedPrompt(text, opens_reasoning=True)
            text += f"\n{THINK_CLOSE}\n\n"
        return RenderedPrompt(text + content, opens_reasoning=False)

    def _run(
        self,
        *,
        messages: list[dict[str, Any]],
        tools: list[Any] | None,
        variables: Mapping[str, Any],
        seconds: float,
    ) -> str:
        values = {
            "add_generation_prompt": True,
            **self._names,
            **variables,
            "messages": messages,
            "tools": tools,
        }
        try:
            with budget(seconds):
                return _join_bounded(self._template.generate(values))
        except TemplateRefused:
            raise
        except OutOfTime as error:
            raise TemplateTooSlow(
                f"The chat template cannot render these messages: {error}.", param="messages"
            ) from error
        except TemplateRaised as error:
            raise TemplateRefused(str(error), param="messages") from error
        except Exception as error:  # whatever a foreign template does, the caller gets a 400
            raise TemplateRefused(
                f"The chat template cannot render these messages: {error}", param="messages"
            ) from error

    def _probe(self) -> TemplateTraits:
        """Try the template on small conversations and look for what should be in the prompt."""
        user = Message("user", "probe-user")
        tool = Tool("probe_tool", "A probe", {"type": "object", "properties": {}})
        problem = None
        try:
            self.render((user,), seconds=_PROBE_SECONDS)
        except TemplateRefused as refusal:
            problem = refusal.message
        try:
            with_tool = self.render((user,), tools=(tool,), seconds=_PROBE_SECONDS).text
        except TemplateRefused:
            with_tool = ""
        return TemplateTraits(
            tools="probe_tool" in with_tool,
            thinking=THINK_OPEN in self.source or THINK_CLOSE in self.source,
            problem=problem,
        )


def _prefill_of(messages: Sequence[Message]) -> Message | None:
    last = messages[-1] if messages else None
    if last and last.role == "assistant" and not last.tool_calls:
        return last
    return None


def _is_open(text: str) -> bool:
    return text.rstrip().endswith(THINK_OPEN)


def _join_bounded(pieces: Iterator[str]) -> str:
    parts: list[str] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > MAX_PROMPT_CHARACTERS:
            raise TemplateRefused("The rendered prompt is too large.", param="messages")
        parts.append(piece)
    return "".join(parts)


def _as_dict(message: Message) -> dict[str, Any]:
    """A message as templates expect it: text content always a string, arguments as objects."""
    role = "system" if message.role == "developer" else message.role
    made: dict[str, Any] = {"role": role, "content": message.content or ""}
    if message.reasoning:
        made["reasoning_content"] = message.reasoning
    if message.tool_calls:
        made["tool_calls"] = [_as_call(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        made["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        made["name"] = message.name
    return made


def _as_call(call: ToolCall) -> dict[str, Any]:
    arguments: Any = call.arguments
    try:
        parsed: Any = json.loads(call.arguments) if call.arguments.strip() else {}
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, dict):
        arguments = cast("dict[str, Any]", parsed)
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }


def _as_tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "description": tool.description or ""}
    function["parameters"] = dict(tool.parameters or {"type": "object", "properties": {}})
    return {"type": "function", "function": function}
