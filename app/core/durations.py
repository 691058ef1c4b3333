"""Lengths of time as people write them: seconds, or `90s`, `5m`, `1h30m`."""

import math
import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_WHOLE = re.compile(rf"-?(?:{_PART.pattern})+")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def parse_duration(value: object) -> float:
    """Seconds; infinite for a negative length, as Ollama's `keep_alive` has it.

    Raises ValueError for what is neither a number nor a duration.
    """
    text = str(value).strip()
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        seconds = math.nan
    elif _WHOLE.fullmatch(text):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
        seconds = math.inf if text.startswith("-") else seconds
    else:
        seconds = float(text) if _NUMBER.fullmatch(text) or text in {"inf", "-inf"} else math.nan
    if math.isnan(seconds):
        raise ValueError("must be a number of seconds or a duration such as 30s, 5m or 1h30m")
    return math.inf if seconds < 0 else seconds
