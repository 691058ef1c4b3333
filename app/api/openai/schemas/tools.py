"""Tools, and which of them may be called."""

from typing import Annotated, Any, Literal, Self, cast

from pydantic import BeforeValidator, Field, model_validator

from app.api.schema import Part

MAX_TOOLS = 512
_WORDS = ("auto", "none", "required")

FunctionName = Annotated[str, Field(min_length=1, max_length=256)]


class FunctionTool(Part):
    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ChatTool(Part):
    type: Literal["function"]
    function: FunctionTool


Tools = Annotated[list[ChatTool], Field(max_length=MAX_TOOLS, fail_fast=True)]


class NamedFunction(Part):
    name: FunctionName


def _nest_name(value: object) -> object:
    """The Responses API writes the name beside the type."""
    if not isinstance(value, dict):
        return value
    given = cast("dict[str, Any]", value)
    if given.get("type") == "function" and "function" not in given and "name" in given:
        return {"type": "function", "function": {"name": given["name"]}}
    return given


class NamedTool(Part):
    type: Literal["function"]
    function: NamedFunction


AllowedTool = Annotated[NamedTool, BeforeValidator(_nest_name)]


class AllowedTools(Part):
    mode: Literal["auto", "required"]
    tools: Annotated[list[AllowedTool], Field(min_length=1, max_length=MAX_TOOLS, fail_fast=True)]


class ToolChoice(Part):
    type: Literal["auto", "none", "required", "function", "allowed_tools"]
    function: NamedFunction | None = None
    allowed_tools: AllowedTools | None = None

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        if self.type in {"function", "allowed_tools"} and getattr(self, self.type) is None:
            raise ValueError(f"a choice of type '{self.type}' needs '{self.type}'")
        return self


def _read_choice(value: object) -> object:
    if isinstance(value, str):
        if value not in _WORDS:
            words = ", ".join(f"'{word}'" for word in _WORDS)
            raise ValueError(f"must be {words}, or an object that names functions")
        return {"type": value}
    if not isinstance(value, dict):
        return value
    given = cast("dict[str, Any]", value)
    if given.get("type") == "allowed_tools" and "allowed_tools" not in given:
        flat = {name: given[name] for name in ("mode", "tools") if name in given}
        return {"type": "allowed_tools", "allowed_tools": flat}
    return _nest_name(given)


AnyToolChoice = Annotated[ToolChoice, BeforeValidator(_read_choice)]
"""A word or an object; the Responses API's flat objects too."""
