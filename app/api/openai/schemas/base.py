"""Types and fields that the routes share. JSON null stands for "not given" everywhere."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)

from app.core.options import MAX_PRIORITY, PRIORITY_CLASSES, DraftMethod
from app.core.ranges import MAX_BREAKERS, SAMPLING

MAX_STOPS = 256
MAX_BIASES = 1024
MAX_BREAKER = 64
INT64 = 2**63


class Part(BaseModel):
    """An object of the wire. Fields that nobody knows are kept, to be named to the caller.

    Every list in it fails at its first wrong element and is bounded: pydantic would describe
    each of a million others.
    """

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class Body(Part):
    """A request body."""


def find_unknown(part: Part) -> set[str]:
    """The fields that nobody knows, as `field` or `tools.function.field`."""
    names = {name for name, value in (part.model_extra or {}).items() if value is not None}
    for name, value in part.__dict__.items():
        for inner in _parts_in(value):
            names |= {f"{name}.{unknown}" for unknown in find_unknown(inner)}
    return names


def _parts_in(value: object) -> Iterable[Part]:
    if isinstance(value, Part):
        return (value,)
    if isinstance(value, list):
        return (item for item in cast("list[object]", value) if isinstance(item, Part))
    return ()


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _read_priority(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value not in PRIORITY_CLASSES:
        words = " or ".join(f"'{word}'" for word in PRIORITY_CLASSES)
        raise ValueError(f"must be {words}, or an integer from 0 to {MAX_PRIORITY}")
    return PRIORITY_CLASSES[value]


def _check_stops(stops: list[str]) -> list[str]:
    if not all(stops):
        raise ValueError("a stop string cannot be empty")
    return stops


def _bound_bias(value: object) -> object:
    """Before the entries are looked at: each wrong one would be described."""
    if not isinstance(value, dict):
        return value
    bias = cast("dict[str, object]", value)
    if len(bias) > MAX_BIASES:
        raise ValueError(f"at most {MAX_BIASES} tokens are taken")
    return bias


def _check_bias(bias: dict[str, float]) -> dict[str, float]:
    for token, value in bias.items():
        if not (token.isascii() and token.isdecimal() and len(token) < 10):
            raise ValueError(f"'{token[:40]}' is not a token id")
        if not -100 <= value <= 100:
            raise ValueError(f"the bias of token {token} is not between -100 and 100")
    return bias


Stops = Annotated[
    list[str],
    Field(max_length=MAX_STOPS, fail_fast=True),
    BeforeValidator(_as_list),
    AfterValidator(_check_stops),
]
StopTokens = Annotated[list[int], Field(max_length=MAX_STOPS, fail_fast=True)]
Breaker = Annotated[str, Field(max_length=MAX_BREAKER)]
Breakers = Annotated[list[Breaker], Field(max_length=MAX_BREAKERS, fail_fast=True)]
Bias = Annotated[dict[str, float], BeforeValidator(_bound_bias), AfterValidator(_check_bias)]
Count = Annotated[int, Field(ge=0)]
Priority = Annotated[int, Field(ge=0, le=MAX_PRIORITY), BeforeValidator(_read_priority)]
ServiceTier = Literal["auto", "default", "flex", "priority", "scale"]


class StreamOptions(Part):
    include_usage: bool | None = None


def _within(name: str) -> Any:
    """An optional field in the range that models.yaml keeps to as well."""
    return Field(default=None, **SAMPLING[name].bounds)


class SamplingFields(Body):
    """How tokens are chosen: OpenAI's parameters and llama.cpp's."""

    temperature: float | None = _within("temperature")
    top_p: float | None = _within("top_p")
    top_k: int | None = _within("top_k")
    min_p: float | None = _within("min_p")
    typical_p: float | None = _within("typical_p")
    seed: Annotated[int, Field(ge=-INT64, lt=INT64)] | None = None
    presence_penalty: float | None = _within("presence_penalty")
    frequency_penalty: float | None = _within("frequency_penalty")
    repeat_penalty: float | None = _within("repeat_penalty")
    repeat_last_n: int | None = _within("repeat_last_n")
    dry_multiplier: float | None = _within("dry_multiplier")
    dry_base: float | None = _within("dry_base")
    dry_allowed_length: int | None = _within("dry_allowed_length")
    dry_penalty_last_n: int | None = _within("dry_penalty_last_n")
    dry_sequence_breakers: Breakers | None = None
    xtc_probability: float | None = _within("xtc_probability")
    xtc_threshold: float | None = _within("xtc_threshold")
    mirostat: Annotated[int, Field(ge=0, le=2)] | None = None
    mirostat_tau: float | None = _within("mirostat_tau")
    mirostat_eta: float | None = _within("mirostat_eta")
    logit_bias: Bias | None = None


class GenerationFields(SamplingFields):
    """What both generating routes take."""

    model: Annotated[str, Field(min_length=1, max_length=512)]
    max_tokens: Annotated[int, Field(ge=-1)] | None = None
    min_tokens: Count | None = None
    stop: Stops | None = None
    stop_token_ids: StopTokens | None = None
    ignore_eos: bool | None = None
    n: Annotated[int, Field(ge=1)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None
    priority: Priority | None = None
    service_tier: ServiceTier | None = None
    speculation: DraftMethod | None = None

    @property
    def end_user(self) -> str | None:
        """Whom the caller asks for."""
        return self.user


def describe(value: Any) -> str:
    """What kind of JSON value this is, in the words of error messages."""
    if value is None:
        return "null"
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "a boolean"),
        (int, "an integer"),
        (float, "a number"),
        (str, "a string"),
        (list, "an array"),
        (dict, "an object"),
    )
    return next((word for kind, word in kinds if isinstance(value, kind)), "something else")
