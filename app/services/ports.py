"""What the services need from the rooms around them."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from app.catalog.entries import ModelEntry
from app.core.models import ModelInfo
from app.core.pulls import PullOutcome
from app.core.records import GenerationRecord
from app.core.stats import EngineStats, PoolMemory
from app.pool.loaded import LoadedModel


class ModelNames(Protocol):
    """What there is to be served."""

    def models(self) -> tuple[ModelInfo, ...]: ...

    def find(self, model: str) -> ModelInfo:
        """By id or alias, with or without `:latest`. Raises ModelNotFound."""
        ...

    def entry(self, model: str) -> ModelEntry:
        """What the catalog says of a model. Raises ModelNotFound."""
        ...


class ModelPool(ModelNames, Protocol):
    """The models, loaded or not."""

    def lease(
        self, model: str, keep_alive: float | None = None
    ) -> AbstractAsyncContextManager[LoadedModel]:
        """Hold a model in memory, loading it first where needed. `keep_alive`: seconds that it
        stays there unused from then on; infinite for ever.

        Raises ModelNotFound, ModelNotDownloaded, ModelLoadFailed, ModelLoading or Draining.
        """
        ...

    async def load(self, model: str, keep_alive: float | None = None) -> ModelInfo:
        """Have a model in memory. Raises what a lease raises."""
        ...

    async def unload(self, model: str, patience: float = ...) -> None:
        """Have a model out of memory once nobody uses it. Raises ModelNotFound, or ModelBusy
        after `patience` seconds."""
        ...

    def memory(self) -> PoolMemory:
        """What the models in memory take, and may take."""
        ...

    def stats(self) -> Mapping[str, EngineStats]: ...

    @property
    def is_ready(self) -> bool: ...

    @property
    def is_alive(self) -> bool: ...


class GenerationMetrics(Protocol):
    """What a generation reports while it runs and when it is over."""

    def observe_generation(self, record: GenerationRecord) -> None: ...

    def observe_ttft(self, model: str, seconds: float) -> None: ...

    def observe_inter_token(self, model: str, seconds: float, tokens: int = 1) -> None: ...

    def observe_queue(self, model: str, seconds: float) -> None: ...

    def count_rejected(self, model: str, reason_code: str) -> None: ...

    def observe_cancel(self, model: str, seconds: float) -> None: ...

    def count_tool_parse_failure(self, parser: str) -> None: ...


class PullMetrics(Protocol):
    """What a download reports when it is over."""

    def count_pull(self, outcome: PullOutcome) -> None: ...


class WorkGate(Protocol):
    """Counts the work that a shutdown waits for."""

    def enter(self) -> None: ...

    def leave(self) -> None: ...
