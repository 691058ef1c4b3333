"""Counters that outlive their engine."""

from app.core.stats import EngineStats
from app.pool.tally import add_counters, keep_counters

STATS = EngineStats(
    running=1,
    parked=2,
    kv_tokens_used=3,
    prefill_budget=4,
    cached_tokens=10,
    drafted_tokens=20,
    cache_evictions=30,
    recomputed_tokens=40,
    finished={"stop": 1},
    cached_tokens_by_tier={"live": 7, "host": 3},
    cache_bytes_by_tier={"host": 99},
    cache_entries_by_tier={"host": 9},
)


def test_what_was_counted_is_kept_and_what_was_measured_is_not() -> None:
    assert keep_counters(STATS) == EngineStats(
        cached_tokens=10,
        drafted_tokens=20,
        cache_evictions=30,
        recomputed_tokens=40,
        finished={"stop": 1},
        cached_tokens_by_tier={"live": 7, "host": 3},
        is_alive=False,
    )


def test_counters_add_up_and_gauges_are_the_present_ones() -> None:
    both = add_counters(
        STATS,
        EngineStats(
            running=5,
            drafted_tokens=1,
            finished={"stop": 1, "length": 1},
            cached_tokens_by_tier={"host": 1, "disk": 1},
            cache_bytes_by_tier={"disk": 8},
        ),
    )
    assert both == EngineStats(
        running=5,
        cached_tokens=10,
        drafted_tokens=21,
        cache_evictions=30,
        recomputed_tokens=40,
        finished={"stop": 2, "length": 1},
        cached_tokens_by_tier={"live": 7, "host": 4, "disk": 1},
        cache_bytes_by_tier={"disk": 8},
    )
