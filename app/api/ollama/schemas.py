"""The bodies of Ollama's routes. Its clients in Go send "" and 0 for what was not given."""

from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field

from app.api.sampling import SamplingFields, Stops
from app.api.schema import Body, Part
from app.config.manifest import MAX_TOKENS, Tokens
from app.core.durations import parse_duration

MAX_CALLS = 512
MAX_FILES = 1000
MAX_TOOLS = 512

Role = Literal["system", "developer", "user", "assistant", "tool"]
Effort = Literal["low", "medium", "high"]


def _as_integers(value: object) -> object:
    """Whole numbers of options that are written with a fraction."""
    if not isinstance(value, dict):
        return value
    given = cast("dict[str, object]", value)
    return {
        name: int(number) if isinstance(number, float) and number.is_integer() else number
        for name, number in given.items()
        if number is not None
    }


def _check_format(value: object) -> object:
    if isinstance(value, str) and value not in {"", "json"}:
        raise ValueError('must be "json" or a JSON schema')
    return value or None


KeepAlive = Annotated[float, BeforeValidator(parse_duration)]


class Options(SamplingFields):
    """What of Ollama's options, and of llama.cpp's, a request can choose here."""

    num_predict: int | None = None
    stop: Stops | None = None


class Function(Part):
    name: Annotated[str, Field(min_length=1, max_length=256)]
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Tool(Part):
    type: Literal["function"] | None = None
    function: Function


class CalledFunction(Part):
    name: Annotated[str, Field(min_length=1)]
    arguments: dict[str, Any] | None = None
    index: int | None = None


class ToolCall(Part):
    id: str | None = None
    type: Literal["function"] | None = None
    function: CalledFunction


class Message(Part):
    role: Role
    content: str | None = None
    thinking: str | None = None
    images: list[Any] | None = None
    tool_calls: Annotated[list[ToolCall], Field(max_length=MAX_CALLS, fail_fast=True)] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class ModelBody(Body):
    """What loads a model. `keep_alive`: seconds, or a duration such as `5m`."""

    model: Annotated[str, Field(min_length=1, max_length=512)]
    options: Annotated[Options, BeforeValidator(_as_integers)] | None = None
    keep_alive: KeepAlive | None = None


class AnswerBody(ModelBody):
    """What both generating routes take."""

    stream: bool | None = None
    format: Annotated[Literal["json"] | dict[str, Any] | None, BeforeValidator(_check_format)] = (
        None
    )
    think: bool | Effort | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None


class ChatBody(AnswerBody):
    """`temperature` and `max_tokens` stand where RustLLM has them."""

    messages: Annotated[list[Message], Field(fail_fast=True)] | None = None
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS, fail_fast=True)] | None = None
    temperature: float | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None


class GenerateBody(AnswerBody):
    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    raw: bool | None = None
    template: str | None = None
    images: list[Any] | None = None
    context: list[int] | None = None


class EmbedBody(ModelBody):
    input: str | Annotated[list[str], Field(fail_fast=True)]
    truncate: bool | None = None
    dimensions: Annotated[int, Field(ge=0)] | None = None


class EmbeddingsBody(ModelBody):
    prompt: str | None = None


class NameBody(Body):
    """Names a model; older clients say `name`."""

    model: Annotated[str, Field(max_length=512)] | None = None
    name: Annotated[str, Field(max_length=512)] | None = None


class ShowBody(NameBody):
    verbose: bool | None = None


class PullBody(NameBody):
    """`insecure` would allow a registry without https; what is allowed is the operator's."""

    stream: bool | None = None
    insecure: bool | None = None


class DownloadBody(Body):
    """RustLLM's: with `force` what is here is downloaded again."""

    force: bool | None = None


class CopyBody(Body):
    source: Annotated[str, Field(min_length=1, max_length=512)]
    destination: Annotated[str, Field(min_length=1, max_length=512)]


class CreateParameters(Options):
    """Options that hold for every request to a model."""

    num_ctx: Tokens | None = None
    num_predict: Annotated[int, Field(le=MAX_TOKENS)] | None = None


class CreateBody(NameBody):
    """Ollama's `from` names a model, `files` what was sent to `/api/blobs`; rustllama's `modelpath`
    a file in the models directory."""

    from_: Annotated[str, Field(max_length=512)] | None = Field(None, alias="from")
    files: Annotated[dict[str, str], Field(max_length=MAX_FILES)] | None = None
    modelpath: Annotated[str, Field(max_length=4096)] | None = None
    system: str | None = None
    template: str | None = None
    parameters: Annotated[CreateParameters, BeforeValidator(_as_integers)] | None = None
    license: str | list[str] | None = None
    stream: bool | None = None
