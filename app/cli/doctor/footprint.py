"""What models would take. llama.cpp is asked in another process, for it may crash on a bad file."""

import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from types import TracebackType
from typing import Self

from app.catalog.entries import ModelEntry
from app.config.settings import Settings


class Measurer:
    """One process for all models, and another after each crash."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def measure(self, entry: ModelEntry) -> int | None:
        """Bytes that a model takes once it is loaded; None where llama.cpp crashes on it."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                1, mp_context=get_context("spawn"), initializer=_be_quiet
            )
        try:
            return self._pool.submit(_estimate, self._settings, entry).result()
        except BrokenProcessPool:
            self._pool = None
            return None


def _be_quiet() -> None:
    """What a crash writes is for nobody: that it crashed is said."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)


def _estimate(settings: Settings, entry: ModelEntry) -> int:
    from app.llama import library  # noqa: PLC0415  # in the other process only
    from app.pool.contexts import estimate_memory  # noqa: PLC0415

    library.init(lambda _level, _line: None)
    return estimate_memory(settings, entry).total
