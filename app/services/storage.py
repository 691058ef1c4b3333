"""Deleting, copying and naming models on disk, while others are served."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from app.catalog.store import ModelStore
from app.core.errors import BadRequest, ConfigurationError, ModelNotFound
from app.pool.roster import Changes
from app.services.ports import ModelPool

_LATEST = ":latest"


class StorageService:
    """One change at a time. After each the catalog is read again; what it refuses is undone."""

    def __init__(
        self, pool: ModelPool, store: ModelStore, reload: Callable[[], Awaitable[Changes]]
    ) -> None:
        self._pool = pool
        self._store = store
        self._reload = reload
        self._lock = asyncio.Lock()

    async def reload(self) -> Changes:
        """Read `models.yaml` and the models directory again. Raises ConfigurationError, and then
        everything stays as it is."""
        return await self._reload()

    async def delete(self, name: str) -> None:
        """Delete a model's files. Requests that use it go on to their end.

        Raises ModelNotFound, and BadRequest for what is not ours to delete.
        """
        async with self._lock:
            entry = self._pool.entry(name)
            if name.removesuffix(_LATEST) != entry.id.removesuffix(_LATEST):
                raise BadRequest(
                    f"'{name}' is another name of the model '{entry.id}': delete that.",
                    param="model",
                )
            hidden = await asyncio.to_thread(self._store.hide, entry.paths)
            try:
                await self._reload()
            except ConfigurationError as error:
                hidden.restore()
                raise BadRequest(
                    f"The model '{entry.id}' is not deleted: {error.message}.", param="model"
                ) from None
            except BaseException:
                hidden.restore()
                raise
            await asyncio.to_thread(hidden.remove)

    async def copy(self, source: str, name: str) -> None:
        """Serve a model's files under another name too, without what the manifest says of it.

        Raises ModelNotFound, and BadRequest for a name that is taken or cannot be one.
        """
        await self._add(self._pool.entry(source).paths, name)

    async def create(self, name: str, place: str) -> None:
        """Serve a file of the models directory under another name too. Raises BadRequest."""
        await self._add(self._store.find(place), name)

    async def _add(self, paths: tuple[Path, ...], name: str) -> None:
        async with self._lock:
            if self._is_known(name):
                raise BadRequest(f"There is already a model '{name}'.")
            plain = name.removesuffix(_LATEST)
            await asyncio.to_thread(self._store.copy, paths, plain)
            await self._reload()

    def _is_known(self, name: str) -> bool:
        try:
            self._pool.find(name)
        except ModelNotFound:
            return False
        return True
