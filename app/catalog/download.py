"""One file from the network, whole and right or not at all.

What was fetched before is kept over kills, dropped connections and restarts; what changed meanwhile
is fetched anew. The file appears under its name when its size, digest and structure were checked.
"""

import asyncio
import hashlib
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2
from filelock import FileLock, Timeout

from app.catalog.gguf import GgufError, read_header
from app.catalog.partial import Partial, Span
from app.catalog.transfer import (
    Changed,
    Identity,
    Interrupted,
    Origin,
    identify,
    make_client,
    stream_range,
)
from app.core.errors import DiskFull, PullFailed
from app.core.pulls import PullProgress, PullStage

MIB = 1024 * 1024
_HASH_CHUNK = 8 * MIB
_MAX_PAUSE = 30.0
_MAX_CHANGES = 4
_SPARE_BYTES = 64 * MIB
_REPORT_SECONDS = 0.1
_SAVE_SECONDS = 1.0
_LOCK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to be had: where it is, where it goes, and what is known of it before."""

    origin: Origin
    target: Path
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """`attempts` in a row without a byte end a download; pauses grow from `pause` seconds. Files
    of `parallel_from` bytes come over several `connections`, `chunk` bytes at a time."""

    attempts: int = 6
    pause: float = 0.5
    stall_seconds: float = 30.0
    connections: int = 4
    chunk: int = 32 * MIB
    parallel_from: int = 64 * MIB


class Download:
    """Fetches one file; `run` may be cancelled, and another `run` goes on from there."""

    def __init__(
        self,
        wanted: Wanted,
        folder: Path,
        report: Callable[[PullProgress], None],
        limits: Limits | None = None,
    ) -> None:
        """`folder` holds what is not whole yet; it must be on the file system of the target."""
        self._wanted = wanted
        self._report = report
        self._limits = limits or Limits()
        key = hashlib.sha256(str(wanted.target.absolute()).encode()).hexdigest()[:16]
        self._partial = Partial(folder / key)
        self._lock = FileLock(folder / f"{key}.lock", thread_local=False)
        self._reported = self._saved = 0.0

    async def run(self) -> tuple[int, str]:
        """Size and SHA-256 of the file, which is at its target then. Raises PullFailed."""
        try:
            self._partial.path.parent.mkdir(parents=True, exist_ok=True)
            waited = await self._acquire()
            if not (waited and self._wanted.target.is_file()):
                await self._fetch()
                self._check_structure(self._partial.path)
                digest = await self._hash(self._partial.path)
                self._check_digest(digest)
                self._partial.move_to(self._wanted.target)
            else:
                digest = await self._hash(self._wanted.target)
                self._check_digest(digest)
        except OSError as error:
            raise PullFailed(f"{self._wanted.target}: {error.strerror}.") from error
        finally:
            self._partial.close()
            self._lock.release()
        size = self._wanted.target.stat().st_size
        self._tell("done", size, size, digest)
        return size, digest

    async def _acquire(self) -> bool:
        """Whether another process had the file before."""
        waited = False
        while True:
            try:
                self._lock.acquire(blocking=False)
            except Timeout:
                waited = True
                self._tell("waiting", 0, self._wanted.size)
                await asyncio.sleep(_LOCK_SECONDS)
            else:
                return waited

    async def _fetch(self) -> None:
        failures = changes = 0
        before: Identity | None = None
        async with make_client(self._limits.stall_seconds) as client:
            while True:
                had = self._partial.done
                try:
                    identity = await identify(client, self._wanted.origin)
                    if before is not None and identity.is_same_as(before):
                        # the same file, and yet its ranges did not fit: they cannot be trusted
                        identity = replace(identity, has_ranges=False)
                    self._check_size(identity.size)
                    self._partial.open(identity, self._wanted.origin.url)
                    self._check_space(identity.size)
                    had = self._partial.done
                    await self._fill(client, identity)
                except Changed:
                    before, changes = self._partial.identity, changes + 1
                    if changes >= _MAX_CHANGES:
                        raise PullFailed(f"{self._name} keeps changing while it is read.") from None
                except Interrupted as error:
                    # where nothing can be gone on with, bytes are no progress
                    known = self._partial.identity
                    has_more = self._partial.done > had and known is not None and known.has_ranges
                    failures = 1 if has_more else failures + 1
                    await self._pause(failures, error)
                else:
                    return
                finally:
                    self._partial.save()

    async def _pause(self, failures: int, error: Interrupted) -> None:
        limits = self._limits
        if failures >= limits.attempts:
            raise PullFailed(
                f"{self._name} broke off {failures} times ({error}). What is here is kept: "
                f"the same command goes on with it."
            )
        pause = limits.pause * 2 ** (failures - 1)
        await asyncio.sleep(min(max(pause, error.wait), _MAX_PAUSE))

    async def _fill(self, client: httpx2.AsyncClient, identity: Identity) -> None:
        self._tell("downloading", self._partial.done, identity.size)
        if not identity.has_ranges or not identity.size:
            await self._fetch_span(client, identity, (0, None))
            return
        spans = self._partial.missing(self._limits.chunk)[::-1]

        async def work() -> None:
            while spans:
                await self._fetch_span(client, identity, spans.pop())

        is_large = identity.size >= self._limits.parallel_from
        count = min(self._limits.connections if is_large else 1, len(spans))
        workers = [asyncio.create_task(work()) for _ in range(count)]
        try:
            if workers:
                await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _fetch_span(
        self, client: httpx2.AsyncClient, identity: Identity, span: Span | tuple[int, None]
    ) -> None:
        position, end = span
        limit = end if end is not None else identity.size
        async with stream_range(client, self._wanted.origin, identity, position, end) as response:
            try:
                async for data in response.aiter_raw():
                    piece = data if limit is None else data[: limit - position]
                    self._partial.write(position, piece)
                    position += len(piece)
                    self._check_end(position)
                    self._keep_books(identity.size)
                    if limit is not None and position >= limit:
                        return
            except httpx2.TransportError as error:
                raise Interrupted(f"{type(error).__name__}: {error}".rstrip(": ")) from None
        if limit is not None and position < limit:
            raise Interrupted(f"the answer ended {limit - position} bytes early")

    def _keep_books(self, size: int | None) -> None:
        now = time.monotonic()
        if now - self._saved > _SAVE_SECONDS:
            self._check_space(size)
            self._partial.save()
            self._saved = now
        if now - self._reported > _REPORT_SECONDS:
            self._tell("downloading", self._partial.done, size)

    def _check_size(self, size: int | None) -> None:
        expected = self._wanted.size
        if size is not None and expected is not None and size != expected:
            raise PullFailed(f"{self._name} has {size} bytes, {expected} were expected.")

    def _check_end(self, position: int) -> None:
        """A server that tells no length may send without end."""
        expected = self._wanted.size
        if expected is not None and position > expected:
            self._partial.forget()
            raise PullFailed(f"{self._name} has more than the {expected} bytes that were expected.")

    def _check_space(self, size: int | None) -> None:
        """Others fill the disk too, and a size that is not told is needed all the same."""
        needed = max((size or 0) - self._partial.done, 0)
        free = shutil.disk_usage(self._partial.path.parent).free
        if needed + _SPARE_BYTES > free:
            raise DiskFull(
                f"{self._name} needs {needed / 1e9:.2f} GB more on the disk of "
                f"{self._wanted.target.parent}, where {free / 1e9:.2f} GB are free."
            )

    def _check_structure(self, path: Path) -> None:
        self._check_size(path.stat().st_size)
        try:
            read_header(path)
        except GgufError as error:
            self._partial.forget()
            raise PullFailed(f"{self._name} was downloaded, but it is {error}.") from None

    def _check_digest(self, digest: str) -> None:
        if self._wanted.sha256 is not None and digest != self._wanted.sha256:
            self._partial.forget()
            raise PullFailed(
                f"{self._name} was downloaded, but its SHA-256 is {digest}, not "
                f"{self._wanted.sha256}."
            )

    async def _hash(self, path: Path) -> str:
        digest, done = hashlib.sha256(), 0
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            while chunk := file.read(_HASH_CHUNK):
                digest.update(chunk)
                done += len(chunk)
                if time.monotonic() - self._reported > _REPORT_SECONDS:
                    self._tell("verifying", done, size)
                await asyncio.sleep(0)  # so that it can be cancelled
        self._tell("verifying", done, size)
        return digest.hexdigest()

    @property
    def _name(self) -> str:
        return self._wanted.target.name

    def _tell(
        self, stage: PullStage, done: int, size: int | None, sha256: str | None = None
    ) -> None:
        self._reported = time.monotonic()
        self._report(PullProgress(self._name, stage, done, size, sha256 or self._wanted.sha256))
