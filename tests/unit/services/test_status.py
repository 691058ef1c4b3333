from dataclasses import dataclass, field

import pytest

from app.core.stats import EngineStats, PoolMemory
from app.llama.library import Device
from app.services import status
from app.services.status import StatusService

GPU = Device("GPU0", "a card", "gpu", 3, 8)
CPU = Device("CPU", "a chip", "cpu", 5, 5)


@dataclass
class Pool:
    now: dict[str, EngineStats] = field(default_factory=dict[str, EngineStats])

    def stats(self) -> dict[str, EngineStats]:
        return self.now

    def memory(self) -> PoolMemory:
        return PoolMemory({"a": 10, "b": 5}, 100)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(status.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(status.time, "time", lambda: now[0] + 1000)
    return now


def test_a_sample_sums_models_and_turns_counters_into_rates(clock: list[float]) -> None:
    pool, begun = Pool(), [(0, 0.0)]
    service = StatusService(pool, lambda: begun[0], lambda: ())
    pool.now = {"a": EngineStats(generated_tokens=100, prompt_tokens_computed=50)}
    service.take_sample()
    clock[0] += 2
    pool.now = {
        "a": EngineStats(generated_tokens=140, running=2, kv_tokens_used=7, kv_tokens_total=50),
        "b": EngineStats(generated_tokens=10, waiting=1, kv_tokens_used=1, kv_tokens_total=50),
    }
    begun[0] = (2, 0.6)
    service.take_sample()
    sample = service.samples()[-1]
    assert (sample.running, sample.waiting) == (2, 1)
    assert sample.generated_per_second == 25
    assert sample.prompt_per_second == 0  # a counter that went back has begun anew
    assert (sample.kv_tokens_used, sample.kv_tokens_total, sample.memory_used) == (8, 100, 15)
    assert sample.ttft_seconds == pytest.approx(0.3)
    assert service.now().rates == {"a": 20, "b": 5}
    clock[0] += 1
    service.take_sample()
    assert service.samples()[-1].ttft_seconds is None
    assert [taken.time for taken in service.samples(since=1100)] == [1102, 1103]


def test_samples_are_bounded(clock: list[float]) -> None:
    service = StatusService(Pool(), lambda: (0, 0.0), lambda: ())
    for _ in range(1000):
        clock[0] += 1
        service.take_sample()
    assert len(service.samples()) == 300


def test_devices_tell_their_memory() -> None:
    gpu, cpu = StatusService(Pool(), lambda: (0, 0.0), lambda: (GPU, CPU)).devices()
    assert gpu == GPU
    assert 0 < cpu.memory_free < cpu.memory_total
