"""Models on disk under other names: what is whose, and what is known of the files."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from app.catalog.entries import ModelEntry, build_catalog
from app.config.manifest import Manifest
from app.config.settings import Settings
from app.core.errors import BadRequest, ModelNotFound
from app.core.models import ModelInfo
from app.pool.describe import describe
from app.pool.roster import Changes
from app.services.storage import StorageService
from scripts.make_gguf import write_tiny_llama


class Names:
    """The models of a directory, as the catalog reads them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def models(self) -> tuple[ModelInfo, ...]:
        return tuple(describe(entry, Settings(), "cold") for entry in self._entries())

    def find(self, model: str) -> ModelInfo:
        return describe(self.entry(model), Settings(), "cold")

    def entry(self, model: str) -> ModelEntry:
        for entry in self._entries():
            if entry.id == model.removesuffix(":latest"):
                return entry
        raise ModelNotFound(model)

    def _entries(self) -> tuple[ModelEntry, ...]:
        return build_catalog(Manifest(builtin=False), self._folder, self._folder)


async def reload() -> Changes:
    return Changes()


def serve(folder: Path, read: Callable[[], Awaitable[Changes]] = reload) -> StorageService:
    return StorageService(Names(folder), folder, read)


async def test_a_model_of_somebody_is_never_replaced(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path / "a.gguf")
    mine = write_tiny_llama(tmp_path / "mine.gguf", seed=1)
    mine.with_name("mine.corral.yaml").write_text("system_prompt: Mine.\n")
    before = mine.read_bytes()
    service = serve(tmp_path)
    with pytest.raises(BadRequest, match="already a model"):
        await service.create_from("a", "mine", {"system_prompt": "Other."})
    assert mine.read_bytes() == before
    await service.create_from("a", "new", {"system_prompt": "One."})
    await service.create_from("a", "new", {"system_prompt": "Two."})
    assert "Two." in (tmp_path / "new.corral.yaml").read_text()
