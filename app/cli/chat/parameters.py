"""What can be set of an answer, by the names of the API."""

import difflib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.cli.refusal import BadConfiguration
from app.core.ranges import SAMPLING

Json = dict[str, Any]

# name -> what it is, beside the sampling parameters that have a range
_WHOLE = {"top_k", "repeat_last_n", "dry_allowed_length", "dry_penalty_last_n"}
_COUNTS = {"max_tokens", "min_tokens", "seed", "mirostat", "thinking_budget", "priority"}
_LISTS = {"stop", "dry_sequence_breakers"}
_ALIASES = {"num_predict": "max_tokens"}
NAMES = (*SAMPLING, *sorted(_COUNTS), *sorted(_LISTS))
EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")
_SWITCH = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}


def parse_parameter(name: str, text: str) -> tuple[str, Any]:
    """A parameter's name and its value. Raises BadConfiguration, naming the range."""
    plain = name.strip().lower().replace("-", "_")
    plain = _ALIASES.get(plain, plain)
    if plain in _LISTS:
        return plain, [text.replace("\\n", "\n").replace("\\t", "\t")]
    if plain not in NAMES:
        near = difflib.get_close_matches(plain, NAMES, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(NAMES)}"
        raise BadConfiguration(f"there is no parameter '{name}'{hint}")
    try:
        value = int(text) if plain in _COUNTS | _WHOLE else _parse_finite(text)
    except ValueError:
        kind = "a whole number" if plain in _COUNTS | _WHOLE else "a number"
        raise BadConfiguration(f"{plain}: {text!r} is not {kind}") from None
    allowed = SAMPLING.get(plain)
    is_low = allowed is not None and (
        value <= allowed.low if allowed.is_open else value < allowed.low
    )
    if allowed is not None and (is_low or value > allowed.high):
        raise BadConfiguration(f"{plain}: {text} is not between {allowed.low} and {allowed.high}")
    return plain, value


def _parse_finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def parse_switch(text: str) -> bool:
    """Raises BadConfiguration."""
    try:
        return _SWITCH[text.strip().lower()]
    except KeyError:
        raise BadConfiguration(f"{text!r} is neither on nor off") from None


def parse_thinking(text: str) -> bool | str:
    """On, off, or how hard. Raises BadConfiguration."""
    plain = text.strip().lower()
    if plain in EFFORTS:
        return plain
    if plain in _SWITCH:
        return _SWITCH[plain]
    raise BadConfiguration(f"{text!r} is neither on, off nor one of {', '.join(EFFORTS)}")


def parse_format(text: str) -> Json:
    """A `response_format`: `json` for any object, else a JSON schema, or the file that holds one.

    Raises BadConfiguration.
    """
    if text.strip().lower() == "json":
        return {"type": "json_object"}
    source = text
    if not text.lstrip().startswith("{"):
        try:
            source = Path(text).expanduser().read_text(encoding="utf-8")
        except (OSError, ValueError, RuntimeError) as error:
            is_text = not isinstance(error, UnicodeDecodeError)
            told = error.strerror if isinstance(error, OSError) else str(error)
            reason = told if is_text else "it is not UTF-8"
            raise BadConfiguration(f"{text}: cannot be read as a JSON schema: {reason}") from None
    try:
        schema = json.loads(source)
    except ValueError as error:
        raise BadConfiguration(f"{text[:100]}: is not JSON: {error}") from None
    if not isinstance(schema, Mapping):
        raise BadConfiguration(f"{text[:100]}: a JSON schema is an object")
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
