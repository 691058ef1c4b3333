"""The engine thread's own counters, published as a frozen `EngineStats` after each step."""

import time
from collections import Counter
from dataclasses import dataclass, field

from app.core.stats import CacheTier, EngineStats
from app.engine.prefix.store import StoreStats


@dataclass(frozen=True, slots=True)
class Levels:
    """What is so now and may go up and down."""

    running: int
    waiting: int
    parked: int
    kv_used: int
    kv_total: int
    sequences_max: int
    adapters_running: dict[str, int]
    adapters_waiting: dict[str, int]


@dataclass(slots=True)
class Tally:
    """Counters only ever grow. Seconds are spent inside llama.cpp's decode, and around it."""

    prompt_tokens: int = 0
    prompt_tokens_computed: int = 0
    generated_tokens: int = 0
    preemptions: int = 0
    resumes: int = 0
    recomputed_tokens: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    prefill_budget: int = 0
    adapter_switches: int = 0
    steps: int = 0
    decode_seconds: float = 0.0
    overhead_seconds: float = 0.0
    finished: Counter[str] = field(default_factory=Counter[str])
    cached: Counter[CacheTier] = field(default_factory=Counter[CacheTier])

    def count_step(self, decode_seconds: float, total_seconds: float) -> None:
        self.steps += 1
        self.decode_seconds += decode_seconds
        self.overhead_seconds += total_seconds - decode_seconds

    def snapshot(self, levels: Levels, store: StoreStats | None) -> EngineStats:
        return EngineStats(
            running=levels.running,
            waiting=levels.waiting,
            parked=levels.parked,
            kv_tokens_used=levels.kv_used,
            kv_tokens_total=levels.kv_total,
            sequences_max=levels.sequences_max,
            prompt_tokens=self.prompt_tokens,
            prompt_tokens_computed=self.prompt_tokens_computed,
            cache_lookup_tokens=self.prompt_tokens,
            cached_tokens=self.cached.total(),
            cached_tokens_by_tier=dict(self.cached),
            cache_bytes_by_tier=store.bytes_by_tier if store else {},
            cache_entries_by_tier=store.entries_by_tier if store else {},
            cache_evictions=store.evictions if store else 0,
            generated_tokens=self.generated_tokens,
            preemptions=self.preemptions,
            resumes=self.resumes,
            recomputed_tokens=self.recomputed_tokens,
            drafted_tokens=self.drafted_tokens,
            accepted_tokens=self.accepted_tokens,
            prefill_budget=self.prefill_budget,
            adapters_running=levels.adapters_running,
            adapters_waiting=levels.adapters_waiting,
            adapter_switches=self.adapter_switches,
            steps=self.steps,
            decode_seconds=self.decode_seconds,
            overhead_seconds=self.overhead_seconds,
            heartbeat=time.monotonic(),
            finished=dict(self.finished),
        )
