"""How tokens are chosen: the fields, and the neutral form they are decoded to."""

from typing import Annotated, Any, cast

from pydantic import AfterValidator, BeforeValidator, Field

from app.api.schema import Body
from app.core.ranges import MAX_BREAKERS, MAX_STOPS, SAMPLING
from app.core.requests import SamplingOverrides

MAX_BIASES = 1024
MAX_BREAKER = 64
INT64 = 2**63
_RANDOM_SEED = -1


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


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
Breaker = Annotated[str, Field(max_length=MAX_BREAKER)]
Breakers = Annotated[list[Breaker], Field(max_length=MAX_BREAKERS, fail_fast=True)]
Bias = Annotated[dict[str, float], BeforeValidator(_bound_bias), AfterValidator(_check_bias)]


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


def decode_sampling(wire: SamplingFields) -> SamplingOverrides:
    given: dict[str, Any] = {}
    for name in SamplingFields.model_fields:
        value = getattr(wire, name)
        if value is not None:
            given[name] = value
    if given.get("seed") == _RANDOM_SEED:
        given["seed"] = None
    if "top_k" in given:
        given["top_k"] = max(given["top_k"], 0)
    if "dry_sequence_breakers" in given:
        given["dry_sequence_breakers"] = tuple(given["dry_sequence_breakers"])
    if "logit_bias" in given:
        bias = given["logit_bias"]
        given["logit_bias"] = tuple((int(token), float(value)) for token, value in bias.items())
    return SamplingOverrides(**given)
