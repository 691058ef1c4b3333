"""The files of the disk tier: one state each, believed only after its checks.

    80 bytes   magic and version, key, base, start, end, shortest, size, digest of the state
    16 bytes   digest of the line above and the one below
     4 each    the state's own tokens
   the rest    the state

llama.cpp parses a state in C++, so BLAKE2b stands over every byte: it reads 0.65 GiB/s on one core,
CRC-32 3.5 GiB/s, and both are far from mattering beside computing the tokens. A file is named by
the digest of what it is the state of: whoever writes it again writes the same, and a rename is all
it takes to be safe from others that write here. Nothing is synced: what a power cut tears fails its
checks.
"""

import hashlib
import os
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.engine.runtime import Int32Array

FOLDER = "corral-prefixes-1"
SUFFIX = ".state"
UNFINISHED = ".tmp"
DIGEST_BYTES = 16
NO_BASE = bytes(DIGEST_BYTES)

_MAGIC = b"corral\x00\x01"
_FIXED = struct.Struct("<8s16s16sIIIxxxxQ16s")
_FIRST_READ = 4096


class Damaged(Exception):
    """A file that is not what it should be; `is_ours` when it was written by this code once."""

    def __init__(self, problem: str, *, is_ours: bool) -> None:
        super().__init__(problem)
        self.is_ours = is_ours


def digest(*parts: bytes | memoryview) -> bytes:
    made = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        made.update(part)
    return made.digest()


@dataclass(frozen=True, slots=True, eq=False)
class Header:
    """`key` names the model, `base` the file (its name's bytes) of the state this one leans on."""

    key: bytes
    base: bytes
    start: int
    shortest: int
    tokens: Int32Array
    size: int
    state_digest: bytes

    @property
    def end(self) -> int:
        return self.start + len(self.tokens)

    @property
    def identity(self) -> bytes:
        """What it is the state of."""
        places = struct.pack("<III", self.start, len(self.tokens), self.shortest)
        return digest(self.key, self.base, places, self.tokens.tobytes())

    @property
    def name(self) -> str:
        return self.identity.hex() + SUFFIX

    @property
    def file_bytes(self) -> int:
        return file_bytes(len(self.tokens), self.size)

    def packed(self) -> bytes:
        tokens = self.tokens.astype("<i4", copy=False).tobytes()
        places = (self.start, self.end, self.shortest, self.size)
        fixed = _FIXED.pack(_MAGIC, self.key, self.base, *places, self.state_digest)
        return fixed + digest(fixed, tokens) + tokens


def file_bytes(n_tokens: int, state_bytes: int) -> int:
    """Size of a file with so many tokens of its own."""
    return _FIXED.size + DIGEST_BYTES + 4 * n_tokens + state_bytes


def write(folder: Path, header: Header, state: memoryview) -> None:
    """Complete under its name, or not at all. Raises OSError."""
    number, unfinished = tempfile.mkstemp(UNFINISHED, dir=folder)  # for its owner only
    try:
        with os.fdopen(number, "wb", buffering=0) as file:
            for part in (memoryview(header.packed()), state):
                written = 0
                while written < len(part):  # one write takes at most 2 GiB
                    written += file.write(part[written:])
        Path(unfinished).replace(folder / header.name)
    except OSError:
        Path(unfinished).unlink(missing_ok=True)
        raise


def read_header(path: Path) -> Header:
    """Raises Damaged or OSError."""
    with path.open("rb", buffering=0) as file:
        return _read_header(path.name, file.fileno())


def read_state(path: Path, key: bytes) -> memoryview:
    """A state in memory of its own, writable. Raises Damaged or OSError."""
    with path.open("rb", buffering=0) as file:
        header = _read_header(path.name, file.fileno())
        if header.key != key:
            raise Damaged("it belongs to another model", is_ours=False)
        state = np.empty(header.size, np.uint8).data
        file.seek(header.file_bytes - header.size)
        filled = 0
        while filled < header.size:
            count = file.readinto(state[filled:])
            if not count:
                raise Damaged("it is cut off", is_ours=True)
            filled += count
    if digest(state) != header.state_digest:
        raise Damaged("the state does not agree with its digest", is_ours=True)
    return state


def _read_header(name: str, file: int) -> Header:
    stem, dot, suffix = name.partition(".")
    if dot + suffix != SUFFIX or len(stem) != 2 * DIGEST_BYTES:
        raise Damaged("its name is none of ours", is_ours=False)
    first = os.pread(file, _FIRST_READ, 0)
    if first[: len(_MAGIC)] != _MAGIC[: len(first)]:
        raise Damaged("it is of another kind or version", is_ours=False)
    if len(first) < _FIXED.size + DIGEST_BYTES:
        raise Damaged("it is cut off", is_ours=True)
    _, key, base, start, end, shortest, size, state_digest = _FIXED.unpack_from(first)
    begin = _FIXED.size + DIGEST_BYTES
    tokens_bytes = 4 * (end - start)
    if tokens_bytes <= 0 or os.fstat(file).st_size != begin + tokens_bytes + size:
        raise Damaged("its length is wrong", is_ours=True)
    while len(first) < begin + tokens_bytes:
        more = os.pread(file, begin + tokens_bytes - len(first), len(first))
        if not more:
            raise Damaged("it is cut off", is_ours=True)
        first += more
    tokens = first[begin : begin + tokens_bytes]
    if digest(first[: _FIXED.size], tokens) != first[_FIXED.size : begin]:
        raise Damaged("its header does not agree with its digest", is_ours=True)
    ids = np.frombuffer(tokens, "<i4").astype(np.int32)
    header = Header(key, base, start, shortest, ids, size, state_digest)
    if header.name != name or shortest > end or (start > 0) != (base != NO_BASE):
        raise Damaged("it is not what its name says", is_ours=True)
    return header
