"""Items as clients send them; fields of OpenAI's own answers come back with them."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from app.api.openai.schemas.chat import MAX_PARTS
from app.api.schema import Part

Role = Literal["user", "assistant", "system", "developer"]
_TEXTS = {"input_text", "output_text", "text", "summary_text", "reasoning_text"}


class ItemPart(Part):
    """A piece of text. `annotations` and `logprobs` stand in answers that come back."""

    type: str
    text: str | None = None
    refusal: str | None = None
    annotations: list[Any] | None = None
    logprobs: list[Any] | None = None

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if self.type not in {*_TEXTS, "refusal"}:
            raise ValueError(f"parts of type '{self.type[:40]}' are not supported, only text")
        if self.words is None:
            raise ValueError(f"a part of type '{self.type}' needs its text")
        return self

    @property
    def words(self) -> str | None:
        return self.refusal if self.type == "refusal" else self.text


def _as_parts(value: object) -> object:
    return [{"type": "input_text", "text": value}] if isinstance(value, str) else value


Parts = Annotated[
    list[ItemPart], Field(max_length=MAX_PARTS, fail_fast=True), BeforeValidator(_as_parts)
]


class AnyItem(Part):
    """`id` and `status` are given anew where an item is stored."""

    id: str | None = None
    status: Literal["in_progress", "completed", "incomplete"] | None = None


class InputMessage(AnyItem):
    type: Literal["message"] | None = None
    role: Role
    content: Parts
    phase: str | None = None


class FunctionCall(AnyItem):
    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str
    namespace: str | None = None


class FunctionCallOutput(AnyItem):
    type: Literal["function_call_output"]
    call_id: str
    output: Parts


class CustomCall(AnyItem):
    type: Literal["custom_tool_call"]
    call_id: str
    name: str
    input: str
    namespace: str | None = None


class CustomCallOutput(AnyItem):
    type: Literal["custom_tool_call_output"]
    call_id: str
    output: Parts


class ReasoningInput(AnyItem):
    type: Literal["reasoning"]
    summary: Parts | None = None
    content: Parts | None = None
    encrypted_content: str | None = None


class ItemReference(AnyItem):
    type: Literal["item_reference"] | None = None


SCHEMAS: dict[str, type[AnyItem]] = {
    "message": InputMessage,
    "function_call": FunctionCall,
    "function_call_output": FunctionCallOutput,
    "custom_tool_call": CustomCall,
    "custom_tool_call_output": CustomCallOutput,
    "reasoning": ReasoningInput,
    "item_reference": ItemReference,
}
