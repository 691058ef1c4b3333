"""Counters that outlive their engine."""

from app.core.stats import EngineStats
from app.pool.tally import add_counters, join_replicas, keep_counters

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


def test_replicas_are_one_model() -> None:
    first = EngineStats(running=1, kv_tokens_total=10, steps=3, heartbeat=5.0, cache_evictions=2)
    second = EngineStats(running=2, kv_tokens_total=10, steps=4, heartbeat=7.0, cache_evictions=3)
    dead = EngineStats(running=9, kv_tokens_total=10, steps=5, heartbeat=1.0, is_alive=False)
    joined = join_replicas(EngineStats(steps=100), (first, second, dead))
    assert (joined.running, joined.kv_tokens_total, joined.steps) == (3, 20, 112)
    assert (joined.heartbeat, joined.is_alive) == (5.0, True)
    assert joined.cache_evictions == 3  # the store that they share counts them once
    assert joined.replicas == (first, second, dead)
    assert not join_replicas(EngineStats(), (dead,)).is_alive


def test_adapters_are_counted_over_replicas() -> None:
    first = EngineStats(adapters_running={"sql": 1, "fmt": 0}, adapter_switches=5)
    second = EngineStats(adapters_running={"sql": 2, "fmt": 0}, adapters_waiting={"sql": 3})
    joined = join_replicas(EngineStats(adapter_switches=10), (first, second))
    assert joined.adapters_running == {"sql": 3, "fmt": 0}
    assert joined.adapters_waiting == {"sql": 3}
    assert joined.adapter_switches == 15
