"""Files that callers send: checked while they come, whole or not at all."""

import asyncio
import hashlib
import os
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.catalog.blobs import BlobStore, parse_digest
from app.catalog.file_pins import FilePins, Pinned
from app.core.errors import BadRequest, DiskFull
from app.services import uploads
from app.services.uploads import UploadService

DATA = b"x" * 10_000
DIGEST = hashlib.sha256(DATA).hexdigest()
NAME = f"sha256:{DIGEST}"


async def pieces(data: bytes = DATA, size: int = 999) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def left(folder: Path) -> list[str]:
    return [path.name for path in (folder / ".corral/blobs").iterdir()]


@pytest.mark.parametrize("piece", [1, 5000, 4 * 1024 * 1024])
async def test_what_comes_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(uploads, "_PIECE", piece)
    service = UploadService(BlobStore(tmp_path))
    assert not await service.has(NAME)
    await service.receive(NAME, pieces(), len(DATA))
    assert await service.has(NAME)
    assert await service.has(NAME.replace(":", "-"))
    assert left(tmp_path) == [DIGEST]


async def test_other_bytes_are_refused(tmp_path: Path) -> None:
    service = UploadService(BlobStore(tmp_path))
    with pytest.raises(BadRequest, match="have the digest sha256:"):
        await service.receive(NAME, pieces(DATA[:-1]))
    assert not left(tmp_path)


async def test_silence_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_SILENCE", 0.05)

    async def stall() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.sleep(10)

    with pytest.raises(BadRequest, match="half way"):
        await UploadService(BlobStore(tmp_path)).receive(NAME, stall())
    assert not left(tmp_path)


@pytest.mark.parametrize("announced", [10**18, None])
async def test_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, announced: int | None
) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=64 * 1024 * 1024 + 100)

    def usage(_: Path) -> object:
        return full

    monkeypatch.setattr(shutil, "disk_usage", usage)
    with pytest.raises(DiskFull, match="do not fit"):
        await UploadService(BlobStore(tmp_path)).receive(NAME, pieces(), announced)
    assert not left(tmp_path)


async def test_what_nobody_used_is_removed_after_a_day(tmp_path: Path) -> None:
    service = UploadService(BlobStore(tmp_path))
    await service.receive(NAME, pieces())
    old = time.time() - 25 * 3600
    os.utime(tmp_path / ".corral/blobs" / DIGEST, (old, old))
    other = b"y"
    await service.receive(f"sha256:{hashlib.sha256(other).hexdigest()}", pieces(other))
    assert not await service.has(NAME)


@pytest.mark.parametrize(
    "text", ["", "sha256:", DIGEST, f"md5:{DIGEST}", f"sha256:{DIGEST}0", f"sha256:{DIGEST[1:]}G"]
)
def test_no_digest(text: str) -> None:
    with pytest.raises(BadRequest, match="is not a digest"):
        parse_digest(text)


def test_files_of_models_are_found_by_digest(tmp_path: Path) -> None:
    path = tmp_path / "lab" / "m.gguf"
    path.parent.mkdir()
    path.write_bytes(DATA)
    pins = FilePins(tmp_path)
    pins.write(Path("lab/m.gguf"), Pinned(len(DATA), DIGEST))
    assert BlobStore(tmp_path).find(DIGEST) == path
    assert pins.find(Path("lab/m.gguf")) == Pinned(len(DATA), DIGEST)
    os.utime(path, (1, 1))
    assert BlobStore(tmp_path).find(DIGEST) is None, "it may be another file by now"
    path.unlink()
    assert pins.find(Path("lab/m.gguf")) is None
