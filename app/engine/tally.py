"""The engine thread's own counters, published as a frozen `EngineStats` after each step."""

import time
from collections import Counter
from dataclasses import dataclass, field

from app.core.stats import EngineStats


@dataclass(slots=True)
class Tally:
    """Counters only ever grow. Seconds are spent inside llama.cpp's decode, and around it."""

    prompt_tokens: int = 0
    prompt_tokens_computed: int = 0
    generated_tokens: int = 0
    preemptions: int = 0
    steps: int = 0
    decode_seconds: float = 0.0
    overhead_seconds: float = 0.0
    finished: Counter[str] = field(default_factory=Counter[str])

    def count_step(self, decode_seconds: float, total_seconds: float) -> None:
        self.steps += 1
        self.decode_seconds += decode_seconds
        self.overhead_seconds += total_seconds - decode_seconds

    def snapshot(
        self, *, running: int, waiting: int, kv_used: int, kv_total: int, sequences_max: int
    ) -> EngineStats:
        return EngineStats(
            running=running,
            waiting=waiting,
            kv_tokens_used=kv_used,
            kv_tokens_total=kv_total,
            sequences_max=sequences_max,
            prompt_tokens=self.prompt_tokens,
            prompt_tokens_computed=self.prompt_tokens_computed,
            generated_tokens=self.generated_tokens,
            preemptions=self.preemptions,
            steps=self.steps,
            decode_seconds=self.decode_seconds,
            overhead_seconds=self.overhead_seconds,
            heartbeat=time.monotonic(),
            finished=dict(self.finished),
        )
