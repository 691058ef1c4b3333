"""The ranges of sampling parameters, by their names in `SamplingParams`: what requests and
`models.yaml` may say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

INT32_MAX = 2**31 - 1  # what llama.cpp counts with
MAX_BREAKERS = 16  # sequence breakers of one request
MAX_STOPS = 256  # stop strings of one request


@dataclass(frozen=True, slots=True)
class Range:
    """From `low` to `high`, both included unless `is_open`: then `low` itself is not."""

    low: float
    high: float
    is_open: bool = False

    @property
    def bounds(self) -> dict[str, Any]:
        """As keywords that a schema field takes."""
        return {"gt" if self.is_open else "ge": self.low, "le": self.high}


_SHARE = Range(0, 1)
_POSITIVE_SHARE = Range(0, 1, is_open=True)
_PENALTY = Range(-2, 2)
_LAST = Range(-1, INT32_MAX)  # -1: the whole context

SAMPLING: Mapping[str, Range] = {
    "temperature": Range(0, 5),
    "top_k": _LAST,
    "top_p": _SHARE,
    "min_p": _SHARE,
    "typical_p": _POSITIVE_SHARE,
    "presence_penalty": _PENALTY,
    "frequency_penalty": _PENALTY,
    "repeat_penalty": Range(0, 10, is_open=True),
    "repeat_last_n": _LAST,
    "dry_multiplier": Range(0, 100),
    "dry_base": Range(1, 100),
    "dry_allowed_length": Range(1, INT32_MAX),
    "dry_penalty_last_n": _LAST,
    "xtc_probability": _SHARE,
    "xtc_threshold": _SHARE,
    "mirostat_tau": Range(0, 100),
    "mirostat_eta": _SHARE,
}
