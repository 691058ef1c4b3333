"""How the server is doing: figures of this moment, and their course over the last minutes."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from app.config.hardware import free_memory, usable_memory
from app.core.stats import EngineStats, PoolMemory
from app.llama.library import Device

INTERVAL = 1.0
"""Seconds between two samples."""
_KEPT = 300


class WatchedPool(Protocol):
    def stats(self) -> Mapping[str, EngineStats]: ...

    def memory(self) -> PoolMemory: ...


@dataclass(frozen=True, slots=True)
class StatusSample:
    """All models together at `time` (Unix seconds). Tokens are a second's; `ttft_seconds` is the
    mean of the answers that began in the interval, None without any. Memory in bytes."""

    time: float
    running: int
    waiting: int
    generated_per_second: float
    prompt_per_second: float
    kv_tokens_used: int
    kv_tokens_total: int
    memory_used: int
    ttft_seconds: float | None


@dataclass(frozen=True, slots=True)
class Status:
    """`models`: the snapshot of each that is or was loaded. `rates`: its generated tokens a
    second, over the last interval. `started`: Unix seconds."""

    started: float
    memory: PoolMemory
    models: Mapping[str, EngineStats]
    rates: Mapping[str, float]


class StatusService:
    """Reads published snapshots; it never waits for an engine."""

    def __init__(
        self,
        pool: WatchedPool,
        first_tokens: Callable[[], tuple[int, float]],
        devices: Callable[[], Sequence[Device]],
    ) -> None:
        """`first_tokens`: how many answers have begun so far, and the seconds of all together
        until they did."""
        self._pool = pool
        self._first_tokens = first_tokens
        self._find_devices = devices
        self._started = time.time()
        self._samples: deque[StatusSample] = deque(maxlen=_KEPT)
        self._rates: dict[str, float] = {}
        self._past: Mapping[str, EngineStats] = {}
        self._past_at = time.monotonic()
        self._begun = (0, 0.0)

    def now(self) -> Status:
        return Status(
            started=self._started,
            memory=self._pool.memory(),
            models=self._pool.stats(),
            rates=dict(self._rates),
        )

    def devices(self) -> list[Device]:
        """What computes, and its memory now. It asks drivers: call it in a thread."""
        return [_with_main_memory(device) for device in self._find_devices()]

    def samples(self, since: float = 0.0) -> tuple[StatusSample, ...]:
        """Those taken after `since` (Unix seconds), the oldest first."""
        return tuple(sample for sample in self._samples if sample.time > since)

    async def watch(self) -> None:
        """Take samples until it is cancelled."""
        while True:
            self.take_sample()
            await asyncio.sleep(INTERVAL)

    def take_sample(self) -> None:
        moment, stats = time.monotonic(), self._pool.stats()
        seconds = max(moment - self._past_at, 1e-3)
        made = {
            name: _grown(self._past.get(name), now, "generated_tokens")
            for name, now in stats.items()
        }
        computed = sum(
            _grown(self._past.get(name), now, "prompt_tokens_computed")
            for name, now in stats.items()
        )
        self._rates = {name: tokens / seconds for name, tokens in made.items()}
        self._past, self._past_at = stats, moment
        self._samples.append(
            StatusSample(
                time=time.time(),
                running=sum(now.running for now in stats.values()),
                waiting=sum(now.waiting for now in stats.values()),
                generated_per_second=sum(made.values()) / seconds,
                prompt_per_second=computed / seconds,
                kv_tokens_used=sum(now.kv_tokens_used for now in stats.values()),
                kv_tokens_total=sum(now.kv_tokens_total for now in stats.values()),
                memory_used=sum(self._pool.memory().models.values()),
                ttft_seconds=self._mean_ttft(),
            )
        )

    def _mean_ttft(self) -> float | None:
        """Of the answers that began since the last sample."""
        (count, seconds), (past, past_seconds) = self._first_tokens(), self._begun
        self._begun = count, seconds
        return (seconds - past_seconds) / (count - past) if count > past else None


def _with_main_memory(device: Device) -> Device:
    """llama.cpp says that all of a CPU's memory is free."""
    if device.kind != "cpu":
        return device
    return replace(device, memory_free=free_memory(), memory_total=usable_memory())


def _grown(past: EngineStats | None, now: EngineStats, counter: str) -> int:
    """By how much a counter grew; all of it is new of a model that was not there before."""
    before: int = getattr(past, counter) if past is not None else 0
    return max(0, getattr(now, counter) - before)
