"""Engine counters that survive the engine, and those of several engines together.

A model that is reloaded goes on counting.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from app.core.stats import EngineStats

# Fields of EngineStats that only ever grow: numbers, and numbers by some word.
_COUNTERS = (
    *("prompt_tokens", "prompt_tokens_computed", "cache_lookup_tokens", "cached_tokens"),
    *("generated_tokens", "preemptions", "resumes", "recomputed_tokens", "drafted_tokens"),
    *("accepted_tokens", "adapter_switches", "steps", "decode_seconds", "overhead_seconds"),
)
_COUNTERS_BY_WORD = ("finished", "cached_tokens_by_tier")
# the store counts them, which outlives the engines
_KEPT = ("cache_evictions",)
_LEVELS = (
    *("running", "waiting", "parked", "kv_tokens_used", "kv_tokens_total", "sequences_max"),
    "prefill_budget",
)
_LEVELS_BY_WORD = ("adapters_running", "adapters_waiting")


def add_counters(past: EngineStats, present: EngineStats) -> EngineStats:
    """`present` with the counters of `past` on top."""
    return replace(present, **_sum_counters((past, present)))


def keep_counters(stats: EngineStats) -> EngineStats:
    """Only what has been counted: the engine itself is gone."""
    names = (*_COUNTERS, *_COUNTERS_BY_WORD, *_KEPT)
    return EngineStats(**{name: getattr(stats, name) for name in names}, is_alive=False)


def join_replicas(past: EngineStats, replicas: Sequence[EngineStats]) -> EngineStats:
    """What engines of one model do together; `past` are the counters of those before them. Alive
    while one of them is, and as old as the oldest heartbeat among the living."""
    alive = [stats for stats in replicas if stats.is_alive]
    levels: dict[str, Any] = {
        name: sum(getattr(stats, name) for stats in alive) for name in _LEVELS
    }
    levels |= {name: _sum_words(alive, name) for name in _LEVELS_BY_WORD}
    latest = max(replicas, key=lambda stats: stats.heartbeat)  # knows the store they share
    return replace(
        latest,
        **levels,
        **_sum_counters((past, *replicas)),
        heartbeat=min((stats.heartbeat for stats in alive), default=latest.heartbeat),
        is_alive=bool(alive),
        replicas=tuple(replicas),
    )


def _sum_counters(all_stats: Sequence[EngineStats]) -> dict[str, Any]:
    sums: dict[str, Any] = {
        name: sum(getattr(stats, name) for stats in all_stats) for name in _COUNTERS
    }
    sums |= {name: _sum_words(all_stats, name) for name in _COUNTERS_BY_WORD}
    return sums | {name: max(getattr(stats, name) for stats in all_stats) for name in _KEPT}


def _sum_words(all_stats: Sequence[EngineStats], name: str) -> dict[str, int]:
    words: Counter[str] = Counter()
    for stats in all_stats:
        words.update(getattr(stats, name))
    return dict(words)
