"""A model's chat template: messages in, prompt text out."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.chat.budget import RENDER_SECONDS
from app.chat.compiled import CompiledTemplate, TemplateTooSlow
from app.chat.conventions import Conventions, choose_tools, write_messages
from app.chat.default_template import CHATML
from app.chat.parsers.answer import Thought
from app.chat.probe import TemplateTraits, probe
from app.chat.thinking import steer
from app.chat.tool_text import write_function, write_tools
from app.core.errors import BadRequest, TemplateRefused
from app.core.messages import Message, Tool

__all__ = ["ChatTemplate", "RenderedPrompt", "TemplateTooSlow", "TemplateTraits"]

_PROBE_SECONDS = 1.0
_RESERVED = frozenset({"messages", "tools", "add_generation_prompt", "bos_token", "eos_token"})
_PREFILL = "sentinelprefill"  # stands for the beginning of an answer while its prompt is made
_THINK = Thought("<think>", "</think>")
_TAIL = 256
_NEAR = 1024


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """`suffix` is the prompt's text after the last message, with the beginning of an answer that
    is to be continued: what the reader of the answer must know. `opens_reasoning`: it leaves a
    thought open."""

    text: str
    suffix: str
    opens_reasoning: bool


class ChatTemplate:
    """One compiled template. Rendering is pure, bounded in time and size, and safe from any
    thread."""

    def __init__(self, source: str | None, *, bos_token: str = "", eos_token: str = "") -> None:
        """`source` None: ChatML. Raises TemplateRefused for what is no template."""
        self.source = CHATML if source is None else source
        self._names = {"bos_token": bos_token, "eos_token": eos_token}
        self._compiled = CompiledTemplate(self.source)
        self.traits = self._probe()

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        thinking: bool | None = None,
        effort: str | None = None,
        variables: Mapping[str, Any] | None = None,
        seconds: float | None = None,
        generation: bool = True,
    ) -> RenderedPrompt:
        """The prompt after which the model writes the next assistant message.

        `thinking` and `effort` (OpenAI's, with `none`) become the variables that the template
        reads; `variables` are given to it as they are. A last message of the assistant's own
        (without tool calls) is continued: the prompt ends with its text. `generation` false
        renders the messages alone. Raises TemplateRefused with the template's message,
        TemplateTooSlow when it takes longer than `seconds` (by default RENDER_SECONDS).
        """
        extra = variables or {}
        for name in extra:
            if name in _RESERVED:
                param = f"chat_template_kwargs.{name}"
                raise BadRequest(f"'{param}' is set by the server.", param=param)
        if not messages:
            raise BadRequest("'messages' is empty.", param="messages")
        if thinking is None and isinstance(extra.get("enable_thinking"), bool):
            thinking = extra["enable_thinking"]
        if thinking is None and effort is None and _is_begun(messages) and messages[-1].reasoning:
            thinking = True
        steering = steer(thinking, effort, self.traits.switch, self.traits.effort)
        rendering = _Rendering(
            self, tools, steering | dict(extra), RENDER_SECONDS if seconds is None else seconds
        )
        if not generation:
            text, suffix = rendering.run(messages, generation=False), ""
        elif _is_begun(messages):
            text, suffix = rendering.run_prefill(messages[:-1], messages[-1])
        else:
            text, suffix = rendering.run_open(messages)
            if (thinking is False or effort == "none") and self.traits.switch is None:
                ended = _end_thought(suffix, self.traits)
                text, suffix = text + ended, suffix + ended
        return RenderedPrompt(text, suffix, (self.traits.thought or _THINK).is_open(suffix))

    def run(
        self,
        messages: Sequence[Message],
        said: Conventions,
        *,
        tools: Sequence[Tool] = (),
        variables: Mapping[str, Any],
        seconds: float,
        generation: bool = True,
    ) -> str:
        """Render messages written in the form `said`."""
        tools = choose_tools(tools, said)
        values: dict[str, Any] = {**self._names, **self._make_extras(tools), **variables}
        values["add_generation_prompt"] = generation
        values["messages"] = write_messages(messages, said, tools)
        if tools and said.tools == "field":
            values["tools"] = write_tools(tools)
        elif said.no_tools != "undefined":
            values["tools"] = None if said.no_tools == "none" else []
        return self._compiled.run(values, seconds)

    def _make_extras(self, tools: Sequence[Tool]) -> dict[str, str]:
        """Variables of FireFunction's, which other templates use as names of their own."""
        made: dict[str, str] = {}
        if "functions" in self._compiled.reads:
            made["functions"] = json.dumps([write_function(tool) for tool in tools], indent=4)
        if "datetime" in self._compiled.reads:
            made["datetime"] = datetime.now().astimezone().strftime("%B %d, %Y")
        return made

    def _probe(self) -> TemplateTraits:
        deadline = time.monotonic() + _PROBE_SECONDS

        def run(messages: Sequence[Message], said: Conventions, **options: Any) -> str:
            left = max(deadline - time.monotonic(), 0.0)
            return self.run(messages, said, seconds=left, **options)

        return probe(run, self.source, self._compiled.reads)


class _Rendering:
    """One conversation on its way to a prompt, in one time limit."""

    def __init__(
        self,
        template: ChatTemplate,
        tools: Sequence[Tool],
        variables: Mapping[str, Any],
        seconds: float,
    ) -> None:
        self._template = template
        self._tools = tools
        self._variables = variables
        self._thought = template.traits.thought or _THINK
        self._deadline = time.monotonic() + seconds

    def run(self, messages: Sequence[Message], *, generation: bool = True) -> str:
        return self._template.run(
            messages,
            self._template.traits.conventions,
            tools=self._tools,
            variables=self._variables,
            seconds=self._deadline - time.monotonic(),
            generation=generation,
        )

    def run_open(self, messages: Sequence[Message]) -> tuple[str, str]:
        """A prompt and its text after the last message."""
        text = self.run(messages)
        said = (messages[-1].content or "").strip()
        place = text.rfind(said) if said else -1
        # a short message may stand in the markup after it once more
        is_plain = place >= 0 and text.find(said, max(place - _NEAR, 0)) == place
        if is_plain:
            return text, text[place + len(said) :]
        try:  # the content was written in another form
            closed = self.run(messages, generation=False)
        except TemplateRefused:
            closed = ""
        if closed and text.startswith(closed):
            return text, text[len(closed) :]
        return text, text[place + len(said) :] if place >= 0 else text[-_TAIL:]

    def run_prefill(self, history: Sequence[Message], begun: Message) -> tuple[str, str]:
        """A prompt that ends with the beginning of an answer.

        The template writes the answer, so that all that belongs before its text is there. What it
        leaves out, or refuses, is put after the prompt for an answer that is not begun.
        """
        content, reasoning = begun.content or "", begun.reasoning or ""
        if not content and not reasoning:
            return self.run_open(history) if history else ("", "")
        mark = replace(begun, parts=(), content=_PREFILL)
        if not content:
            mark = replace(begun, parts=(), content="", reasoning=_PREFILL)
        try:
            text = self.run([*history, mark], generation=False)
        except TemplateTooSlow:
            raise
        except TemplateRefused:
            text = ""
        before, found, _ = text.rpartition(_PREFILL)
        start = max(before.rfind((history[-1].content or "").strip()), 0) if history else 0
        is_whole = bool(found) and not (content and reasoning.strip() not in before)
        if not is_whole or self._thought.is_open(before[start:]) != (not content):
            return self._append(history, content, reasoning)
        return before + (content or reasoning), before[start:] + (content or reasoning)

    def _append(self, history: Sequence[Message], content: str, reasoning: str) -> tuple[str, str]:
        text, suffix = self.run_open(history) if history else ("", "")
        thought = self._thought
        begun = ""
        if reasoning or thought.is_open(suffix):
            begun = reasoning
            if not thought.is_open(suffix):
                begun = f"{thought.open.rstrip()}\n{reasoning}"
            if content:
                begun += f"\n{thought.close}\n\n"
        return text + begun + content, suffix + begun + content


def _is_begun(messages: Sequence[Message]) -> bool:
    """Whether the last message is the beginning of the answer."""
    return messages[-1].role == "assistant" and not messages[-1].tool_calls


def _end_thought(suffix: str, traits: TemplateTraits) -> str:
    """What ends a thought at once, where the template has no way to ask for none."""
    thought = traits.thought
    if thought is None or traits.effort is not None:
        return ""
    if thought.is_open(suffix):
        return f"\n{thought.close}\n\n"
    return "" if thought.close in suffix else f"{thought.open}\n\n{thought.close}\n\n"
