"""Engine counters that survive the engine: a model that is reloaded goes on counting."""

from collections import Counter
from dataclasses import fields, replace

from app.core.stats import EngineStats

# Fields of EngineStats that only ever grow.
_COUNTERS = (
    *("prompt_tokens", "prompt_tokens_computed", "cached_tokens", "generated_tokens"),
    *("preemptions", "steps", "decode_seconds", "overhead_seconds"),
)


def add_counters(past: EngineStats, present: EngineStats) -> EngineStats:
    """`present` with the counters of `past` on top."""
    sums = {name: getattr(past, name) + getattr(present, name) for name in _COUNTERS}
    finished = Counter(past.finished) + Counter(present.finished)
    return replace(present, **sums, finished=dict(finished))


def keep_counters(stats: EngineStats) -> EngineStats:
    """Only what has been counted: the engine itself is gone."""
    kept = {field.name: getattr(stats, field.name) for field in fields(EngineStats)}
    counters = {name: kept[name] for name in (*_COUNTERS, "finished")}
    return EngineStats(**counters, is_alive=False)
