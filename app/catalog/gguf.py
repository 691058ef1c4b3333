"""Reads the header of a GGUF file, without llama.cpp and without trusting a byte of it.

It tells what a model is before it is loaded, and refuses a damaged file with a reason: llama.cpp
may abort the whole process on one. Everything is bounded: counts, lengths, and the place of every
tensor against the file's size. Scalars and strings are kept, of arrays only the length.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from app.catalog.gguf_types import BLOCKS, FILE_TYPES

MAGIC = b"GGUF"
_RANK = 4  # among llama.cpp's kinds of pooling
VERSIONS = (2, 3)
MAX_ENTRIES = 65_536
MAX_TENSORS = 1_000_000
MAX_KEY = 65_535
MAX_STRING = 16 * 1024 * 1024
MAX_ARRAY = 64 * 1024 * 1024
MAX_HEADER = 512 * 1024 * 1024
MAX_DIMENSIONS = 4
DEFAULT_ALIGNMENT = 32

DEFAULT_TEMPLATE = "default"

_TEMPLATE = "tokenizer.chat_template"
_CHUNK = 4 * 1024 * 1024
_STRING, _ARRAY, _BOOL = 8, 9, 7
_SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<B"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_U32, _U64 = _SCALARS[4], _SCALARS[10]


class GgufError(ValueError):
    """The file is not a GGUF file that can be loaded; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What the header tells. `arrays` maps a key to its array's length."""

    version: int
    metadata: Mapping[str, str | int | float | bool]
    arrays: Mapping[str, int]
    parameters: int

    @property
    def architecture(self) -> str:
        return self.text("general.architecture") or "unknown"

    @property
    def context_trained(self) -> int:
        """The context length that the model declares, in tokens; 0 where it does not."""
        return self.number(f"{self.architecture}.context_length") or 0

    @property
    def embedding_size(self) -> int | None:
        return self.number(f"{self.architecture}.embedding_length")

    @property
    def cell_size(self) -> int | None:
        """Bytes that one position takes in a KV cache of 16-bit numbers, at most; None where the
        header does not tell."""
        layers = self.number(f"{self.architecture}.block_count")
        heads = self.number(f"{self.architecture}.attention.head_count")
        if not (layers and heads and self.embedding_size):
            return None
        own = self.embedding_size // heads
        key = self.number(f"{self.architecture}.attention.key_length") or own
        value = self.number(f"{self.architecture}.attention.value_length") or own
        kv_heads = self.number(f"{self.architecture}.attention.head_count_kv") or heads
        return 2 * layers * kv_heads * (key + value)

    @property
    def vocabulary_size(self) -> int | None:
        return self.arrays.get("tokenizer.ggml.tokens")

    @property
    def quantization(self) -> str | None:
        value = self.number("general.file_type")
        return FILE_TYPES.get(value) if value is not None else None

    @property
    def chat_templates(self) -> dict[str, str]:
        """The file's templates by name; its main one, if it has one, is the first."""
        found: dict[str, str] = {}
        for key, value in sorted(self.metadata.items()):
            if isinstance(value, str) and key == _TEMPLATE:
                found[DEFAULT_TEMPLATE] = value
            elif isinstance(value, str) and key.startswith(f"{_TEMPLATE}."):
                found[key.removeprefix(f"{_TEMPLATE}.")] = value
        return found

    @property
    def is_causal(self) -> bool:
        """False for encoders such as BERT, which embed and do not generate."""
        return self.metadata.get(f"{self.architecture}.attention.causal") is not False

    @property
    def is_encoder_decoder(self) -> bool:
        """True for T5, which is not served."""
        return self.architecture == "t5"

    @property
    def is_reranker(self) -> bool:
        """Whether the model scores pairs of texts: its vectors are pooled to a rank."""
        return self.number(f"{self.architecture}.pooling_type") == _RANK

    @property
    def is_generator(self) -> bool:
        """Whether the model writes text."""
        return self.is_causal and not self.is_reranker

    @property
    def is_model(self) -> bool:
        """False for what only accompanies a model: image projectors, adapters, control vectors."""
        kind = self.text("general.type")
        return self.architecture not in {"clip", "controlvector"} and kind not in {
            "mmproj",
            "adapter",
        }

    @property
    def shards(self) -> int:
        """Files that the model is split into."""
        return self.number("split.count") or 1

    def text(self, key: str) -> str | None:
        """A string value; None where the key is absent or holds something else."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None

    def number(self, key: str) -> int | None:
        """A whole number; None where the key is absent or holds something else."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None


def read_header(path: Path) -> GgufHeader:
    """Read and check the header. Raises GgufError; takes up to a tenth of a second."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return _parse(_Reader(file, size))
    except OSError as error:
        raise GgufError(f"cannot be read: {error.strerror}") from None


class _Reader:
    """A bounded cursor over the start of a file."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.size = size
        self.position = 0
        self._file = file
        self._buffer = bytearray()

    def need(self, count: int) -> int:
        """Have `count` more bytes in the buffer; returns where they start."""
        start, end = self.position, self.position + count
        if end > self.size:
            raise GgufError(f"cut short: the header goes on after the file's {self.size} bytes")
        if end > MAX_HEADER:
            raise GgufError(f"damaged: its header is larger than {MAX_HEADER} bytes")
        while end > len(self._buffer):
            chunk = self._file.read(max(_CHUNK, end - len(self._buffer)))
            if not chunk:
                raise GgufError("cut short while it was read")
            self._buffer += chunk
        self.position = end
        return start

    def scalar(self, form: struct.Struct) -> Any:
        start = self.need(form.size)
        return form.unpack_from(self._buffer, start)[0]

    def raw(self, count: int) -> bytes:
        start = self.need(count)
        return bytes(self._buffer[start : start + count])

    def string(self, limit: int, what: str) -> str:
        length: int = self.scalar(_U64)
        if length > limit:
            raise GgufError(f"damaged: {what} claims {length} bytes")
        return self.raw(length).decode("utf-8", "replace")

    def skip_strings(self, count: int, what: str) -> None:
        """Pass over an array of strings: vocabularies have hundreds of thousands."""
        unpack, need = _U64.unpack_from, self.need
        for _ in range(count):
            length = unpack(self._buffer, need(8))[0]
            if length > MAX_STRING:
                raise GgufError(f"damaged: a string in {what} claims {length} bytes")
            need(length)


def _parse(reader: _Reader) -> GgufHeader:
    if reader.size < 24 or reader.raw(4) != MAGIC:
        raise GgufError("not a GGUF file (it does not start with GGUF)")
    version: int = reader.scalar(_U32)
    if version not in VERSIONS:
        swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
        reason = "big-endian" if swapped in VERSIONS else f"GGUF version {version}"
        raise GgufError(f"{reason} files are not supported (versions 2 and 3 are)")
    n_tensors: int = reader.scalar(_U64)
    n_entries: int = reader.scalar(_U64)
    if n_tensors > MAX_TENSORS or n_entries > MAX_ENTRIES:
        raise GgufError(f"damaged: it claims {n_tensors} tensors and {n_entries} metadata entries")
    metadata: dict[str, Any] = {}
    arrays: dict[str, int] = {}
    for _ in range(n_entries):
        _read_entry(reader, metadata, arrays)
    if not n_tensors and "split.count" not in metadata:
        raise GgufError("holds a vocabulary only, no weights")
    parameters = _read_tensors(reader, n_tensors, metadata)
    if not isinstance(metadata.get("general.architecture"), str) and not metadata.get("split.no"):
        raise GgufError("damaged: it does not name an architecture")
    return GgufHeader(version, metadata, arrays, parameters)


def _read_entry(reader: _Reader, metadata: dict[str, Any], arrays: dict[str, int]) -> None:
    key = reader.string(MAX_KEY, "a metadata key")
    if key in metadata or key in arrays:
        raise GgufError(f"damaged: metadata key {key!r} appears twice")
    kind: int = reader.scalar(_U32)
    if kind == _STRING:
        metadata[key] = reader.string(MAX_STRING, key)
    elif kind == _ARRAY:
        arrays[key] = _skip_array(reader, key)
    elif kind in _SCALARS:
        value = reader.scalar(_SCALARS[kind])
        metadata[key] = bool(value) if kind == _BOOL else value
    else:
        raise GgufError(f"damaged: metadata key {key!r} has the unknown type {kind}")


def _skip_array(reader: _Reader, key: str) -> int:
    kind: int = reader.scalar(_U32)
    count: int = reader.scalar(_U64)
    if count > MAX_ARRAY:
        raise GgufError(f"damaged: {key} claims {count} values")
    if kind == _STRING:
        reader.skip_strings(count, key)
    elif kind in _SCALARS:
        reader.need(count * _SCALARS[kind].size)
    else:
        raise GgufError(f"damaged: {key} is an array of the unknown type {kind}")
    return count


def _read_tensors(reader: _Reader, count: int, metadata: Mapping[str, Any]) -> int:
    """The number of weights, once every tensor is known to be inside the file."""
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
        raise GgufError(f"damaged: its alignment is {alignment!r}, not a power of two")
    parameters, furthest, last = 0, 0, ""
    names: set[str] = set()
    for _ in range(count):
        name, weights, offset, size = _read_tensor(reader)
        if name in names:
            raise GgufError(f"damaged: tensor {name!r} appears twice")
        if offset % alignment:
            raise GgufError(f"damaged: tensor {name!r} is not aligned to {alignment} bytes")
        names.add(name)
        parameters += weights
        if offset + size > furthest:
            furthest, last = offset + size, name
    start = -(-reader.position // alignment) * alignment if furthest else 0
    if start + furthest > reader.size:
        missing = start + furthest - reader.size
        raise GgufError(
            f"cut short: tensor {last!r} ends {missing} bytes after the end of the file"
        )
    return parameters


def _read_tensor(reader: _Reader) -> tuple[str, int, int, int]:
    """Name, number of weights, offset and bytes of the next tensor."""
    name = reader.string(MAX_KEY, "a tensor's name")
    n_dimensions: int = reader.scalar(_U32)
    if not name:
        raise GgufError("damaged: a tensor has no name")
    if n_dimensions > MAX_DIMENSIONS:
        raise GgufError(f"damaged: tensor {name!r} claims {n_dimensions} dimensions")
    shape: list[int] = [reader.scalar(_U64) for _ in range(n_dimensions)]
    kind: int = reader.scalar(_U32)
    offset: int = reader.scalar(_U64)
    weights = prod(shape)
    if weights >= 2**63 or offset >= 2**63:
        raise GgufError(f"damaged: tensor {name!r} claims the shape {shape}")
    block, size = BLOCKS.get(kind, (1, 0))
    if shape and shape[0] % block:
        raise GgufError(f"damaged: rows of tensor {name!r} are not whole blocks of {block}")
    return name, weights, offset, weights // block * size
