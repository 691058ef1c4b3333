"""Types and fields that the routes share. JSON null stands for "not given" everywhere."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from app.api.sampling import SamplingFields, Stops
from app.api.schema import Part
from app.core.options import (
    MAX_ADAPTERS,
    MAX_LORA_SCALE,
    MAX_PRIORITY,
    PRIORITY_CLASSES,
    DraftMethod,
)
from app.core.ranges import MAX_STOPS


def _read_priority(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value not in PRIORITY_CLASSES:
        words = " or ".join(f"'{word}'" for word in PRIORITY_CLASSES)
        raise ValueError(f"must be {words}, or an integer from 0 to {MAX_PRIORITY}")
    return PRIORITY_CLASSES[value]


def _check_adapter(value: Any) -> Any:
    if isinstance(value, int | str) and not isinstance(value, bool):
        return value
    raise ValueError("must be the number or the name of an adapter")


StopTokens = Annotated[list[int], Field(max_length=MAX_STOPS, fail_fast=True)]
Count = Annotated[int, Field(ge=0)]
Priority = Annotated[int, Field(ge=0, le=MAX_PRIORITY), BeforeValidator(_read_priority)]
ServiceTier = Literal["auto", "default", "flex", "priority", "scale"]


class StreamOptions(Part):
    include_usage: bool | None = None


class LoraChoice(Part):
    """An adapter of the model, by its number (as llama-server has it) or its name."""

    id: Annotated[int | str, BeforeValidator(_check_adapter)]
    scale: Annotated[float, Field(ge=-MAX_LORA_SCALE, le=MAX_LORA_SCALE)] | None = None


LoraChoices = Annotated[list[LoraChoice], Field(max_length=MAX_ADAPTERS, fail_fast=True)]


class EngineFields(SamplingFields):
    """What every generating route takes, responses among them."""

    model: Annotated[str, Field(min_length=1, max_length=512)]
    min_tokens: Count | None = None
    stop: Stops | None = None
    stop_token_ids: StopTokens | None = None
    ignore_eos: bool | None = None
    stream: bool | None = None
    user: str | None = None
    priority: Priority | None = None
    service_tier: ServiceTier | None = None
    speculation: DraftMethod | None = None
    lora: LoraChoices | None = None

    @property
    def end_user(self) -> str | None:
        """Whom the caller asks for."""
        return self.user


class GenerationFields(EngineFields):
    """What both routes of completions take."""

    max_tokens: Annotated[int, Field(ge=-1)] | None = None
    n: Annotated[int, Field(ge=1)] | None = None
    stream_options: StreamOptions | None = None
