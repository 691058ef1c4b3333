"""Models on disk under other names: what is whose, and what is known of the files."""

import errno
import hashlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import gguf
import pytest

from app.catalog.entries import ModelEntry, build_catalog
from app.catalog.file_pins import FilePins
from app.config.manifest import Manifest
from app.config.settings import Settings
from app.core.errors import BadRequest, ConfigurationError, ModelNotFound
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
        return build_catalog(Manifest(), self._folder, self._folder)


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


def send(folder: Path, count: int) -> list[str]:
    """The parts of a model among the files that were sent; their digests."""
    digests: list[str] = []
    (folder / ".corral/blobs").mkdir(parents=True)
    for number in range(count):
        part = folder / f"sent-{number}"
        writer = gguf.GGUFWriter(part, "llama")
        writer.add_uint16("split.no", number)
        writer.add_uint16("split.count", count)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        digest = hashlib.sha256(part.read_bytes()).hexdigest()
        part.rename(folder / ".corral/blobs" / digest)
        digests.append(f"sha256:{digest}")
    return digests


async def test_each_part_keeps_its_own_digest(tmp_path: Path) -> None:
    first, second = send(tmp_path, 2)
    files = {"m-00002-of-00002.gguf": second, "m-00001-of-00002.gguf": first}
    await serve(tmp_path).create_from_blobs(files, "m", {})
    for number, digest in enumerate((first, second), 1):
        place = Path(f"m-{number:05d}-of-00002.gguf")
        pinned = FilePins(tmp_path).find(place)
        assert pinned is not None
        assert f"sha256:{pinned.sha256}" == digest
        assert hashlib.sha256((tmp_path / place).read_bytes()).hexdigest() == pinned.sha256


@pytest.mark.parametrize("numbers", ["1 of 3, 2 of 3", "0 of 2, 1 of 2", "2 of 2, 3 of 2"])
async def test_the_parts_are_one_to_the_last(tmp_path: Path, numbers: str) -> None:
    names = [
        "m-{:05d}-of-{:05d}.gguf".format(*map(int, n.split(" of "))) for n in numbers.split(", ")
    ]
    files = dict(zip(names, send(tmp_path, 2), strict=True))
    with pytest.raises(BadRequest, match="parts of one model"):
        await serve(tmp_path).create_from_blobs(files, "m", {})
    assert FilePins(tmp_path).find(Path(names[0])) is None


@pytest.mark.parametrize(
    "changes", [{"context_window": 2**60}, {"max_output_tokens": 0}, {"stop": [""]}]
)
async def test_what_no_model_can_have_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    write_tiny_llama(tmp_path / "a.gguf")
    with pytest.raises(BadRequest) as caught:
        await serve(tmp_path).create_from("a", "b", changes)
    assert caught.value.param == "parameters"
    assert next(iter(changes)) in caught.value.message


async def test_a_model_without_all_its_parts_can_be_deleted(tmp_path: Path) -> None:
    part = write_tiny_llama(tmp_path / "m-00001-of-00002.gguf")
    await serve(tmp_path).delete("m")
    assert not part.exists()


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EOPNOTSUPP, errno.EMLINK, errno.EPERM])
async def test_where_no_link_can_be_made_there_is_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    source = write_tiny_llama(tmp_path / "a.gguf")
    monkeypatch.setattr(os, "link", refuse)
    await serve(tmp_path).copy("a", "b")
    assert (tmp_path / "b.gguf").read_bytes() == source.read_bytes()


async def test_what_the_catalog_refuses_is_undone(tmp_path: Path) -> None:
    async def fail() -> Changes:
        raise ConfigurationError("models.yaml is wrong")

    write_tiny_llama(tmp_path / "a.gguf")
    with pytest.raises(BadRequest, match="'b' cannot be served: models"):
        await serve(tmp_path, fail).create_from("a", "b", {"system_prompt": "Hi."})
    assert {path.name for path in tmp_path.rglob("*")} == {"a.gguf"}  # noqa: ASYNC240  # a test
