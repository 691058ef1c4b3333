"""Makes a resident model from a file, once the file has been looked at."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol

from app.catalog.entries import ModelEntry
from app.catalog.verify import Verifier
from app.config.hardware import usable_cores
from app.config.settings import Settings
from app.core.errors import ModelLoadFailed
from app.engine.prefix.store import PrefixStore
from app.llama.context import LlamaRuntime
from app.llama.footprint import Footprint
from app.pool.contexts import StateKeys, estimate_memory, state_keys
from app.pool.parts import MakeRuntime, Weights, load_weights, make_contexts
from app.pool.resident import LlamaResident, Resident
from app.pool.trial import FOLDER, Trials

Progress = Callable[[float], None]
"""Told of the share of a model that is loaded, 0 to 1, from the loading thread."""


class Loader(Protocol):
    """What the pool needs to fill a place in memory."""

    async def measure(self, entry: ModelEntry) -> Footprint:
        """What the model will take. Raises ModelLoadFailed for a file that cannot be used."""
        ...

    async def load(self, entry: ModelEntry, progress: Progress) -> Resident:
        """Have it hot. Raises ModelLoadFailed, OutOfMemory, and UnsupportedOperation for a model
        that cannot be served."""
        ...

    def stop(self) -> None:
        """Give up every load that runs; it fails soon. There will be no other."""
        ...


class LlamaLoader:
    """Loads with llama.cpp. The slow part runs in a thread, so that streams go on meanwhile."""

    def __init__(
        self,
        settings: Settings,
        make_progress: Callable[[str], Progress],
        prefixes: PrefixStore,
        make_runtime: MakeRuntime = LlamaRuntime,
    ) -> None:
        """`make_progress` gives the callback that shows how far loading a model has come.
        `prefixes` outlives the models: what one had computed is there when it comes back.
        `make_runtime` makes what computes a model's answers."""
        self._settings = settings
        self._prefixes = prefixes
        self._make_runtime = make_runtime
        self._make_progress = make_progress
        self._verifier = Verifier()
        self._stopped = threading.Event()
        self._trials: Trials | None = None
        if settings.try_new_files:
            self._trials = Trials(
                settings.models_dir / FOLDER,
                settings.kv_type,
                settings.flash_attention,
                settings.threads or usable_cores(),
            )

    async def measure(self, entry: ModelEntry) -> Footprint:
        await self._check(entry)
        return await asyncio.to_thread(estimate_memory, self._settings, entry)

    async def load(self, entry: ModelEntry, progress: Progress) -> Resident:
        await self._check(entry)
        if self._stopped.is_set():
            raise ModelLoadFailed(f"Loading {entry.path.name} was stopped.")
        goes_on = self._watch(entry, progress)
        keys = state_keys(self._settings, entry)
        weights = await asyncio.to_thread(load_weights, self._settings, entry, goes_on)
        try:
            resident = self._make_resident(entry, weights, keys)
        except BaseException:
            await asyncio.to_thread(weights.close)
            raise
        try:
            await resident.heat()
        except BaseException:
            await resident.close()
            raise
        return resident

    def stop(self) -> None:
        self._stopped.set()

    def _make_resident(self, entry: ModelEntry, weights: Weights, keys: StateKeys) -> LlamaResident:
        """`keys` are from before the load. Raises ModelLoadFailed where a file has changed since:
        states of the old one would be kept as those of the new one."""
        if state_keys(self._settings, entry) != keys:
            raise ModelLoadFailed(f"The model '{entry.id}' changed while it was loaded.")
        contexts = partial(
            make_contexts, self._settings, entry, weights, make_runtime=self._make_runtime
        )
        return LlamaResident(self._settings, entry, self._prefixes, weights, contexts, keys=keys)

    async def _check(self, entry: ModelEntry) -> None:
        """Before llama.cpp sees the file in this process. Every file is looked at once."""
        await self._verifier.verify(entry, self._stopped.is_set)
        if self._trials is not None:
            await self._trials.check(entry, self._stopped.is_set)

    def _watch(self, entry: ModelEntry, progress: Progress) -> Callable[[float], bool]:
        """Tells how far it is, and says whether to go on."""
        show = self._make_progress(entry.id)

        def goes_on(share: float) -> bool:
            show(share)
            progress(share)
            return not self._stopped.is_set()

        return goes_on
