"""Trying a template on small conversations, whose words stand nowhere else."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Protocol

from app.chat.conventions import Conventions
from app.core.errors import TemplateRefused
from app.core.messages import Message, Tool

SYSTEM = Message("system", "sentinelsystem")
LATER = Message("system", "sentinellater")
USER = Message("user", "sentineluser")
AGAIN = Message("user", "sentinelagain")
ANSWER = Message("assistant", "sentinelanswer")


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


class Trial:
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
        return self.ask(USER, variables=variables)

    def find_plain_form(self) -> str | None:
        """How a user's message gets into the prompt; returns why it does not."""
        problem = None
        rendered: Conventions | None = None
        for parts, no_tools in product(("never", "always"), ("none", "undefined", "empty")):
            said = Conventions(parts=parts, no_tools=no_tools)
            text = self.ask(USER, said=said)
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
        if "sentinelsystem" not in self.ask(SYSTEM, USER):
            return False
        both = self.ask(SYSTEM, LATER, USER)
        if "sentinelsystem" not in both or "sentinellater" not in both:
            self.said = replace(self.said, joins_system="leading")
        late = self.ask(SYSTEM, USER, ANSWER, LATER, AGAIN)
        if late and not has(late, "sentinelsystem", "sentinellater"):
            self.said = replace(self.said, joins_system="all")
        return True

    def find_parts_form(self, has_system: bool) -> None:
        if self.said.parts == "always":
            return
        turns = (*((SYSTEM,) if has_system else ()), USER, ANSWER, AGAIN)
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


def has(text: str, *words: str) -> bool:
    return all(word in text for word in words)


def _has_parts(text: str, word: str) -> bool:
    """Both parts of a list were written, and nothing of how a list is written down."""
    start, end = text.find(f"{word}1"), text.find(f"{word}2")
    return 0 <= start < end and "type" not in text[start:end]
