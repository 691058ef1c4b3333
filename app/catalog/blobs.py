"""Files that callers send, under their SHA-256, until a model is made of them."""

import hashlib
import os
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Self

from app.catalog.file_pins import FilePins
from app.core.errors import BadRequest, DiskFull
from app.core.ids import make_id

_FOLDER = ".corral/blobs"
_NEW = ".new"
_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")
_SPARE_BYTES = 64 * 1024 * 1024
_FORGOTTEN_SECONDS = 24 * 3600.0


class BlobStore:
    """Inside the models directory, so that a model is made of one without a copy."""

    def __init__(self, models_dir: Path) -> None:
        self._dir = models_dir
        self._folder = models_dir / _FOLDER
        self._pins = FilePins(models_dir)

    def find(self, digest: str) -> Path | None:
        """A file of that digest: one that was sent, or one of a model whose digest is known."""
        path = self._folder / digest
        return path if path.is_file() else self._pins.find_digest(digest)

    def open(self, digest: str) -> "BlobWriter":
        """Begin a file. What was sent long ago and never used is removed first."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.iterdir():
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _FORGOTTEN_SECONDS:
                    path.unlink()
        return BlobWriter(self._folder / digest)

    def drop(self, path: Path) -> None:
        """Remove a file that was sent, now that a model holds it."""
        if path.parent == self._folder:
            path.unlink(missing_ok=True)


class BlobWriter:
    """A file that is being received; it appears under its digest at once, or not at all."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._path = target.with_name(target.name + make_id(".", 8) + _NEW)
        self._file: BinaryIO = self._path.open("xb")
        self._hash = hashlib.sha256()
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """What was not committed is gone."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def reserve(self, size: int) -> None:
        """Raises DiskFull where so many more bytes have no room."""
        free = shutil.disk_usage(self._path.parent).free
        if size + _SPARE_BYTES > free:
            raise DiskFull(
                f"{size / 1e9:.2f} GB more do not fit on the disk of the models directory, where "
                f"{free / 1e9:.2f} GB are free."
            )

    def write(self, data: bytes) -> None:
        """Raises DiskFull."""
        self.reserve(len(data))
        try:
            self._file.write(data)
        except OSError as error:
            raise DiskFull(f"The file cannot be written: {error.strerror}.") from None
        self._hash.update(data)
        self.size += len(data)

    def commit(self) -> None:
        """Raises BadRequest where the bytes have another digest."""
        found = self._hash.hexdigest()
        if found != self._target.name:
            raise BadRequest(
                f"The {self.size} bytes that came have the digest sha256:{found}, not "
                f"sha256:{self._target.name}.",
                param="digest",
            )
        self._file.flush()
        os.fsync(self._file.fileno())
        self._path.replace(self._target)


def parse_digest(text: str) -> str:
    """The hexadecimal digits of `sha256:...`. Raises BadRequest."""
    match = _DIGEST.fullmatch(text)
    if match is None:
        raise BadRequest(
            f"'{text[:80]}' is not a digest: sha256: and 64 hexadecimal digits in lower case.",
            param="digest",
        )
    return match[1]
