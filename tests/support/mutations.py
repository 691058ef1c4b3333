"""Damaged copies of a GGUF file: flipped bits, cut ends, absurd counts and offsets.

A seed always gives the same damage.
"""

import random
import re
import struct
from collections.abc import Callable

_ABSURD = (0, 1, 2, 0x7F, 0xFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1)
_WORDS = (b"llama", b"gpt2", b"F32", b"blk.0", b"\x00\x00\x00\x00", b"\xff" * 8)


def mutate(data: bytes, header: int, seed: int) -> tuple[str, bytes]:
    """What was done, and the damaged copy. `header`: bytes before the first tensor's data."""
    rng = random.Random(seed)
    name, change = rng.choice(_KINDS)
    damaged = bytearray(data)
    change(damaged, header, rng)
    return name, bytes(damaged)


def _flip_header(data: bytearray, header: int, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 8))):
        data[rng.randrange(header)] ^= 1 << rng.randrange(8)


def _flip_weights(data: bytearray, header: int, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 16, 256))):
        data[rng.randrange(header, len(data))] ^= 1 << rng.randrange(8)


def _truncate(data: bytearray, header: int, rng: random.Random) -> None:
    end = rng.choice((rng.randrange(header), rng.randrange(len(data)), len(data) - 1))
    del data[end:]


def _absurd_number(data: bytearray, header: int, rng: random.Random) -> None:
    form = rng.choice(("<I", "<Q"))
    value = rng.choice(_ABSURD) % (1 << 8 * struct.calcsize(form))
    struct.pack_into(form, data, rng.randrange(header - 8), value)


def _absurd_setting(data: bytearray, header: int, rng: random.Random) -> None:
    """The value of one of the model's own numbers: layers, heads, dimensions, token ids."""
    keys = re.finditer(rb"llama\.|tokenizer\.ggml\.", data[:header])
    start = rng.choice([key.start() for key in keys])
    length = struct.unpack_from("<Q", data, start - 8)[0]
    struct.pack_into("<I", data, start + length + 4, rng.choice(_ABSURD) % 2**32)


def _absurd_count(data: bytearray, header: int, rng: random.Random) -> None:
    """The number of tensors or of metadata entries."""
    struct.pack_into("<Q", data, rng.choice((8, 16)), rng.choice(_ABSURD))


def _absurd_tensor(data: bytearray, header: int, rng: random.Random) -> None:
    """Something near the end of the header: a tensor's shape, type or offset."""
    form = rng.choice(("<I", "<Q"))
    value = rng.choice((*_ABSURD, 8, 32, 64, rng.randrange(2**32)))
    value %= 1 << 8 * struct.calcsize(form)
    struct.pack_into(form, data, rng.randrange(header * 3 // 4, header - 8), value)


def _overwrite(data: bytearray, header: int, rng: random.Random) -> None:
    word = rng.choice(_WORDS)
    start = rng.randrange(header - len(word))
    data[start : start + len(word)] = word


def _remove(data: bytearray, header: int, rng: random.Random) -> None:
    start = rng.randrange(header)
    del data[start : start + rng.choice((1, 4, 8, 32))]


_KINDS: tuple[tuple[str, Callable[[bytearray, int, random.Random], None]], ...] = (
    ("bits of the header", _flip_header),
    ("bits of the weights", _flip_weights),
    ("cut short", _truncate),
    ("absurd number", _absurd_number),
    ("absurd setting", _absurd_setting),
    ("absurd count", _absurd_count),
    ("absurd tensor", _absurd_tensor),
    ("overwritten", _overwrite),
    ("bytes missing", _remove),
)
