"""The types of settings' fields: how each is read from text, and how it is shown."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.fields import FieldInfo
from pydantic_settings import NoDecode

from app.config.sources import SCHEMES
from app.core.durations import parse_duration

MIB, GIB = 1024**2, 1024**3

_SIZE = re.compile(r"(\d+)\s*([kmg]i?)?b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3}

Switch = Literal["auto", "on", "off"]


def _read_auto(value: object) -> object:
    """`auto` is how a number says that Corral chooses it."""
    return None if isinstance(value, str) and value.strip().lower() in {"auto", ""} else value


def _read_list(value: object) -> object:
    if isinstance(value, str):
        return tuple(part for part in (piece.strip() for piece in value.split(",")) if part)
    return value


def _read_size(value: object) -> object:
    """`4GiB` is 4 * 1024³ and `4GB` 4 * 1000³ bytes; a plain number is bytes."""
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise ValueError("must be a number of bytes, or one with KB, MB, GB, KiB, MiB or GiB")
    unit = (match[2] or "").lower()
    return int(match[1]) * (1024 if unit.endswith("i") else 1000) ** _POWERS[unit[:1]]


def _read_switch(value: object) -> object:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        word = value.strip().lower()
        return {"true": "on", "1": "on", "yes": "on", "false": "off", "0": "off", "no": "off"}.get(
            word, word
        )
    return value


def _check_prefixes(given: tuple[str, ...]) -> tuple[str, ...]:
    """`none` stands alone, for nothing."""
    if given == ("none",):
        return ()
    for prefix in given:
        if not any(prefix.startswith(f"{scheme}://") for scheme in SCHEMES):
            raise ValueError(f"{prefix!r} does not begin with hf://, https:// or http://")
    return given


AutoCount = Annotated[int | None, BeforeValidator(_read_auto)]
Duration = Annotated[float, BeforeValidator(parse_duration)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_read_list)]
Prefixes = Annotated[Names, AfterValidator(_check_prefixes)]
Share = Annotated[float, Field(ge=0, le=1e6)]
Shares = Annotated[tuple[Share, ...], NoDecode, BeforeValidator(_read_list)]
UserPath = Annotated[Path, AfterValidator(Path.expanduser)]
Size = Annotated[int, BeforeValidator(_read_size)]
AutoSize = Annotated[int | None, BeforeValidator(_read_size), BeforeValidator(_read_auto)]
AutoSwitch = Annotated[Switch, BeforeValidator(_read_switch)]


def unit(counts: str, default: str | None = None) -> dict[str, Any]:
    """What a field's number counts, and its default in words where the number says little."""
    return {"unit": counts} | ({"default_text": default} if default else {})


def unit_of(field: FieldInfo) -> str:
    """What a number counts, or nothing."""
    return str(_extra_of(field).get("unit", ""))


def default_text(field: FieldInfo) -> str:
    """A setting's default in words."""
    if said := _extra_of(field).get("default_text"):
        return str(said)
    value: Any = field.default
    if isinstance(value, tuple):
        return ",".join(map(str, cast("tuple[object, ...]", value)))
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else str(value)


def _extra_of(field: FieldInfo) -> dict[str, Any]:
    extra = field.json_schema_extra
    return cast("dict[str, Any]", extra) if isinstance(extra, dict) else {}
