"""What the pool needs from the rooms around it."""

from typing import Protocol


class PoolMetrics(Protocol):
    """What the pool reports."""

    def observe_load(self, model: str, seconds: float) -> None: ...

    def observe_warm_start(self, model: str, seconds: float) -> None: ...

    def count_cooling(self, model: str, reason: str) -> None: ...

    def count_eviction(self, model: str, reason: str) -> None: ...

    def count_restart(self, model: str) -> None: ...
