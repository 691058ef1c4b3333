"""Engine counters that survive the engine: a model that is reloaded goes on counting."""

from collections import Counter
from dataclasses import replace
from typing import Any

from app.core.stats import EngineStats

# Fields of EngineStats that only ever grow: numbers, and numbers by some word.
_COUNTERS = (
    *("prompt_tokens", "prompt_tokens_computed", "cache_lookup_tokens", "cached_tokens"),
    *("generated_tokens", "preemptions", "resumes", "recomputed_tokens", "drafted_tokens"),
    *("accepted_tokens", "cache_evictions", "steps", "decode_seconds", "overhead_seconds"),
)
_COUNTERS_BY_WORD = ("finished", "cached_tokens_by_tier")


def add_counters(past: EngineStats, present: EngineStats) -> EngineStats:
    """`present` with the counters of `past` on top."""
    sums: dict[str, Any] = {
        name: getattr(past, name) + getattr(present, name) for name in _COUNTERS
    }
    for name in _COUNTERS_BY_WORD:
        both: Counter[str] = Counter(getattr(past, name))
        both.update(getattr(present, name))
        sums[name] = dict(both)
    return replace(present, **sums)


def keep_counters(stats: EngineStats) -> EngineStats:
    """Only what has been counted: the engine itself is gone."""
    counters = {name: getattr(stats, name) for name in (*_COUNTERS, *_COUNTERS_BY_WORD)}
    return EngineStats(**counters, is_alive=False)
