"""The body of `POST /v1/chat/completions`."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from app.api.openai.schemas.base import Count, GenerationFields
from app.api.openai.schemas.constraints import ConstraintFields
from app.api.openai.schemas.metadata import Metadata
from app.api.openai.schemas.reasoning import ReasoningFields
from app.api.openai.schemas.tools import AnyToolChoice, Tools
from app.api.schema import Body, Part

MAX_PARTS = 1024
MAX_CALLS = 512
MAX_MODALITIES = 8

Role = Literal["system", "developer", "user", "assistant", "tool"]


class ContentPart(Part):
    """A piece of a message; text is what these models read."""

    type: str
    text: str | None = None
    refusal: str | None = None

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if self.type not in {"text", "refusal"}:
            raise ValueError(
                f"content parts of type '{self.type[:40]}' are not supported, only 'text'"
            )
        if self.words is None:
            raise ValueError(f"a part of type '{self.type}' needs '{self.type}'")
        return self

    @property
    def words(self) -> str | None:
        return self.text if self.type == "text" else self.refusal


def _as_parts(value: object) -> object:
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


Content = Annotated[
    list[ContentPart], Field(max_length=MAX_PARTS, fail_fast=True), BeforeValidator(_as_parts)
]


class FunctionCall(Part):
    name: Annotated[str, Field(min_length=1)]
    arguments: str | None = None


class MessageToolCall(Part):
    id: str
    type: Literal["function"] | None = None
    function: FunctionCall


MessageToolCalls = Annotated[list[MessageToolCall], Field(max_length=MAX_CALLS, fail_fast=True)]


class ChatMessage(Part):
    """`refusal` and `annotations` stand in OpenAI's own answers, which clients send back."""

    role: Role
    content: Content | None = None
    refusal: str | None = None
    annotations: list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    name: str | None = None
    tool_calls: MessageToolCalls | None = None
    tool_call_id: str | None = None

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        is_answer = self.role == "assistant"
        other = self.tool_calls or self.reasoning_content or self.reasoning or self.refusal
        if self.content is None and not (is_answer and other):
            raise ValueError(f"a message of role '{self.role}' needs 'content'")
        if self.tool_calls and not is_answer:
            raise ValueError("only messages of role 'assistant' have 'tool_calls'")
        if self.role == "tool" and self.tool_call_id is None:
            raise ValueError("a message of role 'tool' needs 'tool_call_id'")
        return self


class Prediction(Part):
    """Text that the answer probably contains."""

    type: Literal["content"]
    content: Content


class ChatOnly(Body):
    """Fields that this service takes without effect; `parameters.py` says why."""

    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    verbosity: str | None = None


class ChatBody(ChatOnly, ReasoningFields, ConstraintFields, GenerationFields):
    messages: Annotated[list[ChatMessage], Field(min_length=1, fail_fast=True)]
    max_completion_tokens: Annotated[int, Field(ge=-1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[Count, Field(le=20)] | None = None
    tools: Tools | None = None
    tool_choice: AnyToolChoice | None = None
    parallel_tool_calls: bool | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    modalities: Annotated[list[str], Field(max_length=MAX_MODALITIES, fail_fast=True)] | None = None
    prediction: Prediction | None = None
    safety_identifier: str | None = None
    metadata: Metadata | None = None
    store: bool | None = None

    @property
    def end_user(self) -> str | None:
        return self.safety_identifier or self.user

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.top_logprobs and not self.logprobs:
            raise ValueError("'top_logprobs' needs 'logprobs': true")
        for name, limit in (
            ("max_tokens", self.max_tokens),
            ("max_completion_tokens", self.max_completion_tokens),
        ):
            if limit == 0:
                raise ValueError(f"'{name}' must be at least 1, or -1 for the rest of the context")
        return self
