"""The few tokens that can win, found before any sampler looks at the whole vocabulary.

llama.cpp's chain copies every logit into a 12-byte struct before its first stage: 135 microseconds
a row at 150,000 tokens. Where that stage is top-k, the k largest are found here in 30.
"""

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

from app.llama.bindings import Float32Array, lib

# a power of two: the row is folded onto itself five times, which leaves few columns to look at
_STRIPES = 32

_TOKEN_DATA = np.dtype([("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])


def top_candidates(row: Float32Array, k: int) -> npt.NDArray[np.intp]:
    """Ids of the k largest of `row`, shape (vocabulary size,), and perhaps of a few more, in no
    order. Fewer than k where fewer are above minus infinity.

    The row is folded into columns; the k-th largest column maximum is a bound that at least k
    logits reach, and only columns whose maximum reaches it can hold one of them.
    """
    width = len(row) // _STRIPES
    folded = row[: width * _STRIPES].reshape(_STRIPES, width)
    rest = row[width * _STRIPES :]
    if width <= k:
        return np.flatnonzero(row > -np.inf)
    maxima = _column_maxima(row, width)
    bound = np.partition(maxima, width - k)[width - k]
    if bound == -np.inf:  # a mask left fewer than k columns
        return np.flatnonzero(row > -np.inf)
    columns = np.flatnonzero(maxima >= bound)
    stripe, column = np.nonzero(folded[:, columns] >= bound)
    tail = np.flatnonzero(rest >= bound) + width * _STRIPES
    return np.concatenate((stripe * width + columns[column], tail))


def _column_maxima(row: Float32Array, width: int) -> Float32Array:
    """Largest logit of each of `width` columns. Halving reads the row once, in order: faster than
    a reduction over the first axis."""
    maxima = row[: width * _STRIPES]
    for height in (16, 8, 4, 2, 1):
        half = width * height
        maxima = np.maximum(maxima[:half], maxima[half : 2 * half])
    return maxima


class CandidateArray:
    """A `llama_token_data_array` over a numpy buffer that grows as needed."""

    def __init__(self) -> None:
        self._buffer = np.zeros(0, _TOKEN_DATA)
        self._struct: Any = lib.llama_token_data_array()

    def choose(self, chain: Any, ids: npt.NDArray[np.intp], row: Float32Array) -> int:
        """Apply a sampler chain that ends with a choice to the tokens `ids` of `row`."""
        count = len(ids)
        if count > len(self._buffer):
            self._buffer = np.zeros(2 * count, _TOKEN_DATA)
        self._buffer["id"][:count] = ids
        self._buffer["logit"][:count] = row[ids]
        struct = self._struct
        struct.data = ctypes.cast(self._buffer.ctypes.data, lib.llama_token_data_p)
        struct.size, struct.selected, struct.sorted = count, -1, False
        lib.llama_sampler_apply(chain, ctypes.byref(struct))
        return struct.data[struct.selected].id
