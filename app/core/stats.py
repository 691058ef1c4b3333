"""Frozen snapshots that engines publish and metrics, status pages and health checks read."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class EngineStats:
    """State of one engine at `heartbeat` (monotonic seconds). Counters only ever grow."""

    running: int = 0
    waiting: int = 0
    kv_tokens_used: int = 0
    kv_tokens_total: int = 0
    sequences_max: int = 0
    prompt_tokens: int = 0
    prompt_tokens_computed: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    preemptions: int = 0
    steps: int = 0
    decode_seconds: float = 0.0
    overhead_seconds: float = 0.0
    heartbeat: float = 0.0
    finished: dict[str, int] = field(default_factory=dict[str, int])
    is_alive: bool = True
