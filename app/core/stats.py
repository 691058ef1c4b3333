"""Frozen snapshots that engines publish and metrics, status pages and health checks read."""

from dataclasses import dataclass, field
from typing import Literal

# Where the prefix cache finds a beginning: in the KV cache, in main memory, in a file.
CacheTier = Literal["live", "host", "disk"]


@dataclass(frozen=True, slots=True)
class PoolMemory:
    """Bytes that each model in memory takes, and what all together may take."""

    models: dict[str, int] = field(default_factory=dict[str, int])
    budget: int = 0


@dataclass(frozen=True, slots=True)
class EngineStats:
    """State of one engine at `heartbeat` (monotonic seconds). Counters only ever grow.

    - `cached_tokens`: prompt tokens found in the prefix cache, the sum of `cached_tokens_by_tier`,
      of the `cache_lookup_tokens` that were looked for.
    - `cache_bytes_by_tier`, `cache_entries_by_tier`: what this model has in the cache now.
    - `parked`: sequences parked now; `preemptions` and `resumes` count the ways there and back,
      `recomputed_tokens` the tokens that had to be computed again on the way back.
    - `drafted_tokens`: guessed ahead; `accepted_tokens` of them were right.
    - `replicas`: the same of each engine, where a model has several.
    - `prefill_budget`: prompt tokens that the next step may take.
    - `adapters_running`, `adapters_waiting`: sequences by the name of each adapter of the model;
      `adapter_switches`: steps that were the first under other adapters.
    """

    running: int = 0
    waiting: int = 0
    kv_tokens_used: int = 0
    kv_tokens_total: int = 0
    sequences_max: int = 0
    prompt_tokens: int = 0
    prompt_tokens_computed: int = 0
    cache_lookup_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    parked: int = 0
    preemptions: int = 0
    resumes: int = 0
    recomputed_tokens: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    prefill_budget: int = 0
    cache_evictions: int = 0
    adapter_switches: int = 0
    steps: int = 0
    decode_seconds: float = 0.0
    overhead_seconds: float = 0.0
    heartbeat: float = 0.0
    finished: dict[str, int] = field(default_factory=dict[str, int])
    cached_tokens_by_tier: dict[CacheTier, int] = field(default_factory=dict[CacheTier, int])
    cache_bytes_by_tier: dict[CacheTier, int] = field(default_factory=dict[CacheTier, int])
    cache_entries_by_tier: dict[CacheTier, int] = field(default_factory=dict[CacheTier, int])
    adapters_running: dict[str, int] = field(default_factory=dict[str, int])
    adapters_waiting: dict[str, int] = field(default_factory=dict[str, int])
    is_alive: bool = True
    replicas: "tuple[EngineStats, ...]" = ()
