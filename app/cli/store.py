"""The models on this machine, for want of a server: the same catalog that one would read."""

import asyncio
from typing import Any

from app.catalog.entries import ModelEntry, read_catalog
from app.catalog.hub_names import find_entry
from app.cli.names import explain_unknown
from app.config.settings import Settings
from app.core.errors import ModelNotFound
from app.core.models import ModelInfo

_LATEST = ":latest"

Json = dict[str, Any]


class Store:
    """Satisfies `app.services.ports.ModelNames`, so that the server's own services work on it."""

    def __init__(self, settings: Settings) -> None:
        """Raises ConfigurationError."""
        self._settings = settings
        self._entries = _read(settings)

    def names(self) -> list[str]:
        return [name for entry in self._entries for name in (entry.id, *entry.aliases)]

    def models(self) -> tuple[ModelInfo, ...]:
        return tuple(self._describe(entry) for entry in self._entries)

    def find(self, model: str) -> ModelInfo:
        return self._describe(self.entry(model))

    def entry(self, model: str) -> ModelEntry:
        """By id or alias, with or without `:latest`. Raises ModelNotFound."""
        plain = model.removesuffix(_LATEST)
        wanted = {model, plain, plain + _LATEST}
        for entry in self._entries:
            if wanted & {entry.id, *entry.aliases}:
                return entry
        if (found := find_entry(model, self._entries)) is not None:
            return found
        raise ModelNotFound(explain_unknown(model, self.names()), param="model")

    def rows(self) -> list[Json]:
        """As `/v1/models` has them."""
        from app.api.openai.encode.models import encode_model  # noqa: PLC0415

        return [encode_model(info) for info in self.models()]

    def row(self, name: str) -> Json:
        from app.api.openai.encode.models import encode_model  # noqa: PLC0415

        return encode_model(self.find(name))

    def card(self, name: str) -> Json:
        """As `/api/show` has it."""
        # numpy and all that an engine needs come with it: half a second
        from app.api.ollama.encode_models import encode_card  # noqa: PLC0415
        from app.services.models import make_card  # noqa: PLC0415

        return encode_card(make_card(self.entry(name), self.find(name)))

    def delete(self, name: str) -> None:
        asyncio.run(self._storage().delete(name))

    def copy(self, source: str, name: str) -> None:
        asyncio.run(self._storage().copy(source, name))

    def _storage(self) -> Any:
        from app.services.storage import StorageService  # noqa: PLC0415

        return StorageService(self, self._settings.models_dir, self._reload)

    async def _reload(self) -> Any:
        """Raises ConfigurationError where the manifest names a file that is gone."""
        from app.pool.roster import Changes  # noqa: PLC0415  # with the services

        self._entries = _read(self._settings)
        return Changes()

    def _describe(self, entry: ModelEntry) -> ModelInfo:
        from app.pool.describe import describe  # noqa: PLC0415

        return describe(entry, self._settings, "cold" if entry.is_here else "absent")


def _read(settings: Settings) -> tuple[ModelEntry, ...]:
    return read_catalog(settings.manifest, settings.models_dir)[1]
