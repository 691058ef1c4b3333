"""The settings that are in force, as their owner would write them, and where each came from."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from pydantic import SecretStr

from app.config.fields import default_text, unit_of
from app.config.settings import Settings, Source, flag_of, variable_of

MASK = "********"
_PASSWORD = re.compile(r"(?<=://)([^/@:\s]*):[^/@\s]+(?=@)")


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """`value` and `default` as text; `value` is None where Corral chooses, as `default` then
    says. Secrets are masked."""

    name: str
    variable: str
    flag: str
    value: str | None
    default: str
    source: Source
    unit: str
    description: str


def list_settings(settings: Settings) -> tuple[EffectiveSetting, ...]:
    """Every setting, in the order of the docs."""
    return tuple(
        EffectiveSetting(
            name=name,
            variable=variable_of(name),
            flag=flag_of(name),
            value=_write(getattr(settings, name)),
            default=default_text(field),
            source=settings.source_of(name),
            unit=unit_of(field),
            description=field.description or "",
        )
        for name, field in Settings.model_fields.items()
    )


def _write(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and math.isinf(value):
        return "-1"
    if isinstance(value, tuple):
        return ",".join(map(str, cast("Sequence[object]", value)))
    return _PASSWORD.sub(rf"\1:{MASK}", str(value))
