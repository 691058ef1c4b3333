"""Taking files that callers send."""

import asyncio
from collections.abc import AsyncIterable, Iterable

from app.catalog.blobs import BlobStore, BlobWriter, parse_digest
from app.core.errors import BadRequest
from app.services.threads import run_in_thread

_PIECE = 4 * 1024 * 1024
_SILENCE = 60.0  # seconds


class UploadService:
    """Digests are `sha256:` and 64 hexadecimal digits; BadRequest for anything else."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    async def has(self, digest: str) -> bool:
        name = parse_digest(digest)
        return await run_in_thread(lambda: self._blobs.find(name)) is not None

    async def receive(
        self, digest: str, chunks: AsyncIterable[bytes], size: int | None = None
    ) -> None:
        """Keep a file, checked while it comes. `size`: its bytes, where they were announced.

        Raises BadRequest where it has another digest or a minute passes without a byte, and
        DiskFull.
        """
        name = parse_digest(digest)
        with await run_in_thread(lambda: self._blobs.open(name)) as writer:
            writer.reserve(size or 0)
            pieces: list[bytes] = []
            held = 0  # bytes in them
            iterator = aiter(chunks)
            while True:
                try:
                    async with asyncio.timeout(_SILENCE):
                        piece = await anext(iterator)
                except StopAsyncIteration:
                    break
                except TimeoutError:
                    raise BadRequest("The upload stopped half way.") from None
                pieces.append(piece)
                held += len(piece)
                if held >= _PIECE:
                    await _write(writer, pieces)
                    pieces.clear()
                    held = 0
            await _write(writer, pieces)
            await run_in_thread(writer.commit)


async def _write(writer: BlobWriter, pieces: Iterable[bytes]) -> None:
    data = b"".join(pieces)
    await run_in_thread(lambda: writer.write(data))
