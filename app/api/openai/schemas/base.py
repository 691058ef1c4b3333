"""Types and fields that the routes share. JSON null stands for "not given" everywhere."""

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)

MAX_STOPS = 256
INT32_MAX = 2**31 - 1  # what llama.cpp counts with
INT64 = 2**63


class Part(BaseModel):
    """A nested object: fields that nobody knows are left out."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


class Body(BaseModel):
    """A request body: fields that nobody knows are kept, to be named to the caller."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _check_stops(stops: list[str]) -> list[str]:
    if len(stops) > MAX_STOPS:
        raise ValueError(f"at most {MAX_STOPS} stop strings are taken")
    if not all(stops):
        raise ValueError("a stop string cannot be empty")
    return stops


def _check_bias(bias: dict[str, float]) -> dict[str, float]:
    for token, value in bias.items():
        if not (token.isascii() and token.isdecimal() and len(token) < 10):
            raise ValueError(f"'{token[:40]}' is not a token id")
        if not -100 <= value <= 100:
            raise ValueError(f"the bias of token {token} is not between -100 and 100")
    return bias


Stops = Annotated[list[str], BeforeValidator(_as_list), AfterValidator(_check_stops)]
Bias = Annotated[dict[str, float], AfterValidator(_check_bias)]
Share = Annotated[float, Field(ge=0, le=1)]
PositiveShare = Annotated[float, Field(gt=0, le=1)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
LastN = Annotated[int, Field(ge=-1, le=INT32_MAX)]
Count = Annotated[int, Field(ge=0)]


class StreamOptions(Part):
    include_usage: bool | None = None


class SamplingFields(Body):
    """How tokens are chosen: OpenAI's parameters and llama.cpp's."""

    temperature: Annotated[float, Field(ge=0, le=5)] | None = None
    top_p: PositiveShare | None = None
    top_k: LastN | None = None
    min_p: Share | None = None
    typical_p: PositiveShare | None = None
    seed: Annotated[int, Field(ge=-INT64, lt=INT64)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    repeat_penalty: Annotated[float, Field(gt=0, le=10)] | None = None
    repeat_last_n: LastN | None = None
    dry_multiplier: Annotated[float, Field(ge=0, le=100)] | None = None
    dry_base: Annotated[float, Field(ge=1, le=100)] | None = None
    dry_allowed_length: Annotated[int, Field(ge=1, le=INT32_MAX)] | None = None
    dry_penalty_last_n: LastN | None = None
    dry_sequence_breakers: Annotated[list[str], Field(max_length=64)] | None = None
    xtc_probability: Share | None = None
    xtc_threshold: Share | None = None
    mirostat: Annotated[int, Field(ge=0, le=2)] | None = None
    mirostat_tau: Annotated[float, Field(ge=0, le=100)] | None = None
    mirostat_eta: Share | None = None
    logit_bias: Bias | None = None


class GenerationFields(SamplingFields):
    """What both generating routes take."""

    model: Annotated[str, Field(min_length=1, max_length=512)]
    max_tokens: Annotated[int, Field(ge=-1)] | None = None
    min_tokens: Count | None = None
    stop: Stops | None = None
    stop_token_ids: Annotated[list[int], Field(max_length=MAX_STOPS)] | None = None
    ignore_eos: bool | None = None
    n: Annotated[int, Field(ge=1)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None


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
