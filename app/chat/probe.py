"""What a template can do and how it wants its input, found by trying it on small conversations.

Words that stand nowhere else are put into messages, and looked for in the prompts. A template is
never judged by the name of its model.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Protocol

from app.chat.conventions import Conventions, ReasoningForm
from app.chat.parsers.answer import Thought
from app.chat.thinking import (
    Effort,
    Switch,
    find_effort,
    find_switch,
    find_thought,
    spot_thought,
)
from app.chat.tool_text import CallWriter, find_writer
from app.core.errors import TemplateRefused
from app.core.messages import Message, Tool, ToolCall

_TOOLS = tuple(
    Tool(
        name,
        f"Does {name}",
        {
            "type": "object",
            "properties": {"sentinelkey": {"type": "string", "description": "A word"}},
            "required": ["sentinelkey"],
        },
    )
    for name in ("sentineltool", "sentinelother")
)
_ODD_TOOL = Tool(
    "sentineltool",
    parameters={
        "type": "object",
        "properties": {
            "sentinelkey": {"type": ["string", "null"]},
            "any": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "list": {"type": "array"},
        },
    },
)
_CALLS = tuple(
    ToolCall(f"call_sentinel{number}", tool.name, f'{{"sentinelkey": "sentinelvalue{number}"}}')
    for number, tool in enumerate(_TOOLS)
)
_RESULTS = tuple(
    Message("tool", f"sentinelresult{number}", tool_call_id=call.id)
    for number, call in enumerate(_CALLS)
)
_SYSTEM = Message("system", "sentinelsystem")
_LATER = Message("system", "sentinellater")
_USER = Message("user", "sentineluser")
_AGAIN = Message("user", "sentinelagain")
_ANSWER = Message("assistant", "sentinelanswer")
_THOUGHT = "sentinelthought"
_CALLING = Message("assistant", tool_calls=_CALLS[:1])
# what a template's source must hold for it to read earlier thoughts in this form
_FORMS: Mapping[ReasoningForm, str] = {
    "reasoning_content": "reasoning_content",
    "reasoning": "reasoning",
    "thinking": "thinking",
    "part": "thinking",
    "blocks": "blocks",
}


@dataclass(frozen=True, slots=True)
class TemplateTraits:
    """What a template can do.

    `tools`, `calls`, `results`: it has a place for tools, earlier calls and what came of them;
    else the conventions say how they are told. `parallel_calls`: several in one message. `thought`:
    the markers of thinking. `problem`: why it cannot render one plain message.
    """

    conventions: Conventions = field(default_factory=Conventions)
    system: bool = False
    tools: bool = False
    calls: bool = False
    results: bool = False
    parallel_calls: bool = False
    thought: Thought | None = None
    switch: Switch | None = None
    effort: Effort | None = None
    problem: str | None = None

    @property
    def takes_tools(self) -> bool:
        """Whether tools get into the prompt in one way or another."""
        return self.tools or self.conventions.tools != "field"

    @property
    def thinking(self) -> bool:
        return self.thought is not None


class Render(Protocol):
    """Raises TemplateRefused."""

    def __call__(
        self,
        messages: Sequence[Message],
        said: Conventions,
        *,
        tools: Sequence[Tool] = (),
        variables: Mapping[str, Any],
        generation: bool = True,
    ) -> str: ...


def probe(render: Render, source: str, reads: frozenset[str]) -> TemplateTraits:
    """Try `render`; `reads` are the variables that the template reads."""
    trial = _Trial(render)
    problem = trial.find_plain_form()
    if problem is not None:
        return TemplateTraits(thought=spot_thought(source), problem=problem)
    traits = TemplateTraits(
        system=trial.find_system_form(),
        tools=trial.find_schema_form(),
        switch=find_switch(trial.vary, reads),
    )
    if traits.switch is not None:
        trial.variables = {traits.switch.variable: traits.switch.on}
    trial.find_parts_form(traits.system)
    calls, results = trial.find_call_form()
    trial.find_tool_text(find_writer(source), traits, calls=calls, results=results)
    return replace(
        traits,
        calls=calls,
        results=results,
        parallel_calls=trial.find_parallel_form(),
        effort=find_effort(trial.vary, reads),
        thought=trial.find_thought_form(source, has_calls=calls) or spot_thought(source),
        conventions=trial.said,
    )


class _Trial:
    """Learns one convention after the other; what was learned holds for the next."""

    def __init__(self, render: Render) -> None:
        self._render = render
        self.said = Conventions()
        self.variables: Mapping[str, Any] = {}
        self.refusal = ""

    def ask(
        self,
        *messages: Message,
        said: Conventions | None = None,
        tools: Sequence[Tool] = (),
        variables: Mapping[str, Any] | None = None,
        generation: bool = True,
    ) -> str:
        """The prompt; empty where the template refuses."""
        try:
            return self._render(
                messages,
                said or self.said,
                tools=tools,
                variables={**self.variables, **(variables or {})},
                generation=generation,
            )
        except TemplateRefused as refusal:
            self.refusal = refusal.message
            return ""

    def vary(self, variables: Mapping[str, Any]) -> str:
        return self.ask(_USER, variables=variables)

    def find_plain_form(self) -> str | None:
        """How a user's message gets into the prompt; returns why it does not."""
        problem = None
        rendered: Conventions | None = None
        for parts, no_tools in product(("never", "always"), ("none", "undefined", "empty")):
            said = Conventions(parts=parts, no_tools=no_tools)
            text = self.ask(_USER, said=said)
            if "sentineluser" in text:
                self.said = said
                return None
            if text:
                rendered = rendered or said
            else:
                problem = problem or self.refusal
        if rendered is not None:
            self.said = rendered
            return None
        return problem

    def find_system_form(self) -> bool:
        """Whether system messages are written, and which of them must be joined for that."""
        if "sentinelsystem" not in self.ask(_SYSTEM, _USER):
            return False
        both = self.ask(_SYSTEM, _LATER, _USER)
        if "sentinelsystem" not in both or "sentinellater" not in both:
            self.said = replace(self.said, joins_system="leading")
        late = self.ask(_SYSTEM, _USER, _ANSWER, _LATER, _AGAIN)
        if late and not _has(late, "sentinelsystem", "sentinellater"):
            self.said = replace(self.said, joins_system="all")
        return True

    def find_schema_form(self) -> bool:
        """Whether tools are written, and whether with any parameters."""
        if "sentineltool" not in self.ask(_USER, tools=_TOOLS):
            return False
        said = replace(self.said, flat_schemas=True)
        if not self.ask(_USER, tools=(_ODD_TOOL,)) and self.ask(
            _USER, said=said, tools=(_ODD_TOOL,)
        ):
            self.said = said
        return True

    def find_parts_form(self, has_system: bool) -> None:
        if self.said.parts == "always":
            return
        turns = (*((_SYSTEM,) if has_system else ()), _USER, _ANSWER, _AGAIN)
        listed = [
            replace(
                turn,
                content=f"{turn.content}1\n{turn.content}2",
                parts=(f"{turn.content}1", f"{turn.content}2"),
            )
            for turn in turns
        ]
        said = replace(self.said, parts="several")
        text = self.ask(*listed, said=said)
        if text and all(_has_parts(text, str(turn.content)) for turn in turns):
            self.said = said

    def find_call_form(self) -> tuple[bool, bool]:
        """How earlier calls are written: as well as any form can make them."""
        best, found = 0, self.said
        for said in _call_forms(self.said):
            text = self.ask(_USER, _CALLING, _RESULTS[0], said=said, tools=_TOOLS)
            score = 2 * _has_call(text, 0) + ("sentinelresult0" in text)
            if score > best:
                best, found = score, said
            if best == 3:
                break
        self.said = found
        if best & 1:
            self._find_result_names()
        if best >= 2:
            self._find_content_form()
        return best >= 2, best & 1 == 1

    def find_tool_text(
        self, write: CallWriter, traits: TemplateTraits, *, calls: bool, results: bool
    ) -> None:
        """What the template cannot write is told in plain text, where that works."""
        said = self.said
        if not calls:
            said = replace(said, calls=write)
        if not results:
            said = replace(said, results="user")
        if said != self.said:
            text = self.ask(_USER, _CALLING, _RESULTS[0], said=said, tools=_TOOLS)
            if not (_has_call(text, 0) and "sentinelresult0" in text):
                return
        if not traits.tools:
            said = replace(said, tools="system" if traits.system else "user")
            if not _has(self.ask(_USER, said=said, tools=_TOOLS), "sentineltool", "sentineluser"):
                return
        self.said = said

    def _find_result_names(self) -> None:
        """A name is given where the prompt would have a hole without it."""
        named = replace(_RESULTS[0], name="sentinelname")
        without = self.ask(_USER, _CALLING, _RESULTS[0], tools=_TOOLS)
        text = self.ask(_USER, _CALLING, named, tools=_TOOLS)
        if "sentinelname" in text and text.replace("sentinelname", "") == without:
            self.said = replace(self.said, names_results=True)

    def _find_content_form(self) -> None:
        calling = replace(_CALLING, content="sentinelanswer")
        if not _has_call(self.ask(_USER, calling, _RESULTS[0], tools=_TOOLS), 0):
            said = replace(self.said, splits_content=True)
            text = self.ask(_USER, calling, _RESULTS[0], said=said, tools=_TOOLS)
            if _has_call(text, 0) and "sentinelanswer" in text:
                self.said = said

    def find_parallel_form(self) -> bool:
        turns = (_USER, Message("assistant", tool_calls=_CALLS), *_RESULTS)
        if _has_round(self.ask(*turns, tools=_TOOLS)):
            return True
        said = replace(self.said, splits_calls=True)
        if _has_round(self.ask(*turns, said=said, tools=_TOOLS)):
            self.said = said
        return False

    def find_thought_form(self, source: str, *, has_calls: bool) -> Thought | None:
        """The form of earlier thoughts, and the markers around them."""
        for form, sign in _FORMS.items():
            if sign not in source:
                continue
            said = replace(self.said, reasoning=form)
            texts = [text for text in self._think(said, has_calls) if _THOUGHT in text]
            thought = self._find_markers(texts)
            is_field = form not in ("part", "blocks")  # other templates write those out as lists
            if not texts or (thought is None and not is_field):
                continue
            self.said = said
            if has_calls:
                self._find_thought_beside_calls()
            return thought
        return None

    def _find_markers(self, texts: Sequence[str]) -> Thought | None:
        prompt = self.ask(_USER)
        for text in texts:
            before, _, after = text.partition(_THOUGHT)
            if thought := find_thought(before, after, prompt):
                return thought
        return None

    def _think(self, said: Conventions, has_calls: bool) -> Iterable[str]:
        """Prompts of conversations whose last thought should be kept."""
        answer = replace(_ANSWER, reasoning=_THOUGHT)
        yield self.ask(_USER, answer, said=said, generation=False)
        if has_calls:
            calling = replace(_CALLING, reasoning=_THOUGHT)
            yield self.ask(_USER, calling, _RESULTS[0], said=said, tools=_TOOLS)
        yield self.ask(_USER, answer, _AGAIN, said=said)

    def _find_thought_beside_calls(self) -> None:
        calling = replace(_CALLING, content="sentinelanswer", reasoning=_THOUGHT)
        if not self.ask(_USER, calling, _RESULTS[0], tools=_TOOLS):
            said = replace(self.said, joins_reasoning=True)
            if self.ask(_USER, calling, _RESULTS[0], said=said, tools=_TOOLS):
                self.said = said


def _call_forms(said: Conventions) -> Iterable[Conventions]:
    for short, content, text in product((False, True), ("", "none", "undefined"), (False, True)):
        yield replace(said, short_ids=short, empty_content=content, text_arguments=text)


def _has(text: str, *words: str) -> bool:
    return all(word in text for word in words)


def _has_parts(text: str, word: str) -> bool:
    """Both parts of a list were written, and nothing of how a list is written down."""
    start, end = text.find(f"{word}1"), text.find(f"{word}2")
    return 0 <= start < end and "type" not in text[start:end]


def _has_call(text: str, number: int) -> bool:
    """The call is there, and its arguments neither JSON within JSON nor Python."""
    written = text[text.find("sentineluser") :]
    spoilt = '\\"sentinelkey' in written or "'sentinelkey'" in written
    return not spoilt and _has(
        written, _CALLS[number].name, "sentinelkey", f"sentinelvalue{number}"
    )


def _has_round(text: str) -> bool:
    return all(_has_call(text, number) and f"sentinelresult{number}" in text for number in (0, 1))
