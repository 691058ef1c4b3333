"""The body of `POST /v1/responses`. JSON null stands for "not given" everywhere."""

from typing import Annotated, Any, Literal, Self, cast

from pydantic import BeforeValidator, Field, model_validator

from app.api.openai.schemas.base import EngineFields
from app.api.openai.schemas.chat import Prediction
from app.api.openai.schemas.constraints import ConstraintFields
from app.api.openai.schemas.metadata import Metadata
from app.api.openai.schemas.reasoning import Reasoning, ReasoningFields
from app.api.openai.schemas.tools import MAX_TOOLS, AnyToolChoice, FunctionName
from app.api.schema import Body, Part
from app.core.messages import TextGrammar

MAX_INPUTS = 16_384
MAX_INCLUDES = 32
MAX_DEFINITION = 16 * 1024
LOGPROBS = "message.output_text.logprobs"
ENCRYPTED = "reasoning.encrypted_content"

FREE_TOOLS = frozenset(
    {
        "image_generation",
        "local_shell",
        "tool_search",
        "web_search",
        "web_search_2025_08_26",
        "web_search_preview",
        "web_search_preview_2025_03_11",
    }
)
"""Tools that clients offer unasked: the model is not told of them, and so never calls one."""

Include = Literal[
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "web_search_call.results",
]
Includes = Annotated[list[Include], Field(max_length=MAX_INCLUDES, fail_fast=True)]
Identifier = Annotated[str, Field(min_length=1, max_length=256)]


class InputFormat(Part):
    """`format` of a custom tool: any text, or one that a grammar describes."""

    type: Literal["text", "grammar"] = "text"
    syntax: Literal["lark", "regex"] | None = None
    definition: Annotated[str, Field(min_length=1, max_length=MAX_DEFINITION)] | None = None

    @property
    def grammar(self) -> TextGrammar | None:
        if self.type == "text" or self.syntax is None or self.definition is None:
            return None
        return TextGrammar(self.definition, self.syntax)

    @model_validator(mode="after")
    def _check_grammar(self) -> Self:
        if self.type == "grammar" and (self.syntax is None or self.definition is None):
            raise ValueError("a format of type 'grammar' needs 'syntax' and 'definition'")
        return self


class Tool(Part):
    """A function, a custom tool, or a namespace of them; of other types only the name counts."""

    type: str
    name: FunctionName | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    format: InputFormat | None = None
    tools: "Annotated[list[Tool], Field(max_length=MAX_TOOLS, fail_fast=True)] | None" = None

    @model_validator(mode="after")
    def _check_type(self) -> Self:
        if self.type in FREE_TOOLS:
            return self
        if self.type not in {"function", "custom", "namespace"}:
            raise ValueError(
                f"tools of type '{self.type[:40]}' are not offered here, only 'function', "
                "'custom' and 'namespace'"
            )
        if self.name is None:
            raise ValueError(f"a tool of type '{self.type}' needs 'name'")
        if self.type == "namespace" and not self.tools:
            raise ValueError("a tool of type 'namespace' needs 'tools'")
        return self


class Format(Part):
    """`text.format`; pydantic keeps the name `schema` for itself."""

    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: bool | None = None

    @model_validator(mode="after")
    def _check_schema(self) -> Self:
        if self.type == "json_schema" and self.schema_ is None:
            raise ValueError("a format of type 'json_schema' needs 'schema'")
        return self


class Text(Part):
    """`verbosity` has no effect."""

    format: Format | None = None
    verbosity: str | None = None


class ResponseReasoning(Reasoning):
    """OpenAI's. `context` and `mode` have no effect; `generate_summary` is the old `summary`."""

    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None
    context: str | None = None
    mode: str | None = None


class Conversation(Part):
    """`after`: the item to go on from, null for the very beginning, by default the head."""

    id: Identifier
    after: Identifier | None = None


def _as_conversation(value: object) -> object:
    return {"id": value} if isinstance(value, str) else value


def _nest_custom(value: object) -> object:
    """A custom tool is chosen as a function is."""
    if isinstance(value, dict):
        given = cast("dict[str, Any]", value)
        if given.get("type") == "custom":
            return given | {"type": "function"}
        if isinstance(given.get("tools"), list):
            return given | {"tools": [_nest_custom(tool) for tool in given["tools"]]}
    return cast("object", value)


class StreamOptions(Part):
    """Nothing is added to hide the length of pieces, so there is nothing to leave out."""

    include_obfuscation: bool | None = None


class ResponseOnly(Body):
    """Fields that this service takes without effect; `parameters.py` says why."""

    access_programs: dict[str, Any] | None = None
    background_options: dict[str, Any] | None = None
    client_metadata: dict[str, Any] | None = None
    image: dict[str, Any] | None = None
    max_tool_calls: int | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: str | None = None


class ResponseBody(ResponseOnly, ReasoningFields, ConstraintFields, EngineFields):
    """`input` is looked at item by item: see `items`. There is one answer, so `n` is 1."""

    input: str | Annotated[list[Any], Field(max_length=MAX_INPUTS)] | None = None
    instructions: str | None = None
    conversation: Annotated[Conversation, BeforeValidator(_as_conversation)] | None = None
    previous_response_id: Identifier | None = None
    store: bool | None = None
    background: bool | None = None
    stream_options: StreamOptions | None = None
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS, fail_fast=True)] | None = None
    tool_choice: Annotated[AnyToolChoice, BeforeValidator(_nest_custom)] | None = None
    parallel_tool_calls: bool | None = None
    text: Text | None = None
    reasoning: ResponseReasoning | None = None  # pyright: ignore[reportIncompatibleVariableOverride]  # a body is only read
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    n: Annotated[int, Field(ge=1, le=1)] | None = None
    prediction: Prediction | None = None
    truncation: Literal["auto", "disabled"] | None = None
    metadata: Metadata | None = None
    include: Includes | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    safety_identifier: str | None = None

    @property
    def end_user(self) -> str | None:
        return self.safety_identifier or self.user

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.conversation is not None and self.previous_response_id is not None:
            raise ValueError("'previous_response_id' and 'conversation' exclude each other")
        if self.store is False:
            for name in ("background", "conversation"):
                if getattr(self, name):
                    raise ValueError(f"'{name}' needs 'store': true")
        return self
