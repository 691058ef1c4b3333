"""How a model thinks, how long, and where its thoughts go: in the words of several servers."""

from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, model_validator

from app.api.schema import Body, Part

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Budget = Annotated[int, Field(ge=-1)]
"""Tokens of thought; -1 for any number."""

T = TypeVar("T")


class Thinking(Part):
    """Anthropic's, and without a budget DeepSeek's and GLM's."""

    type: Literal["enabled", "disabled"]
    budget_tokens: Budget | None = None


class Reasoning(Part):
    """OpenRouter's."""

    enabled: bool | None = None
    effort: Effort | None = None
    max_tokens: Budget | None = None
    exclude: bool | None = None


class ReasoningFields(Body):
    """Several ways to say the same must not differ; the properties are what was said."""

    enable_thinking: bool | None = None
    reasoning_effort: Effort | None = None
    thinking_budget: Budget | None = None
    thinking_budget_tokens: Budget | None = None
    reasoning_budget_tokens: Budget | None = None
    thinking_token_budget: Budget | None = None
    thinking: Thinking | None = None
    reasoning: Reasoning | None = None
    include_reasoning: bool | None = None

    @property
    def is_thinking(self) -> bool | None:
        return _first(
            {
                "enable_thinking": self.enable_thinking,
                "thinking": None if self.thinking is None else self.thinking.type == "enabled",
                "reasoning.enabled": None if self.reasoning is None else self.reasoning.enabled,
            }
        )

    @property
    def effort(self) -> Effort | None:
        said: dict[str, Effort | None] = {
            "reasoning_effort": self.reasoning_effort,
            "reasoning.effort": None if self.reasoning is None else self.reasoning.effort,
        }
        return _first(said)

    @property
    def budget(self) -> int | None:
        """None for any number of tokens."""
        said = _first(
            {
                "thinking_budget": self.thinking_budget,
                "thinking_budget_tokens": self.thinking_budget_tokens,
                "reasoning_budget_tokens": self.reasoning_budget_tokens,
                "thinking_token_budget": self.thinking_token_budget,
                "thinking.budget_tokens": self.thinking and self.thinking.budget_tokens,
                "reasoning.max_tokens": self.reasoning and self.reasoning.max_tokens,
            }
        )
        return None if said == -1 else said

    @property
    def thought_field(self) -> str | None:
        """The member of messages that holds the thought; None where it is not wanted. Who asks in
        OpenRouter's and vLLM's words is answered so."""
        asked = self.include_reasoning
        excluded = self.reasoning is not None and self.reasoning.exclude
        if asked is False or excluded:
            return None
        return "reasoning" if asked or self.reasoning is not None else "reasoning_content"

    @model_validator(mode="after")
    def _check_agreement(self) -> Self:
        _ = self.is_thinking, self.effort, self.budget
        return self


def _first(said: dict[str, T | None]) -> T | None:
    """What was said, however often."""
    given = [(name, value) for name, value in said.items() if value is not None]
    for name, value in given[1:]:
        if value != given[0][1]:
            raise ValueError(f"'{name}' and '{given[0][0]}' do not agree")
    return given[0][1] if given else None
