"""Hands some tokens of a row to llama.cpp's samplers."""

import ctypes
from typing import Any

import numpy as np

from app.llama.bindings import lib
from app.llama.rows import Float32Array, IdArray

_TOKEN_DATA = np.dtype([("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])


class CandidateArray:
    """A `llama_token_data_array` over a numpy buffer that grows as needed."""

    def __init__(self) -> None:
        self._buffer = np.zeros(0, _TOKEN_DATA)
        self._struct: Any = lib.llama_token_data_array()

    def choose(
        self, chain: Any, ids: IdArray, row: Float32Array, *, is_sorted: bool = False
    ) -> int:
        """Apply a chain that ends with a choice to the tokens `ids` of `row`; at least one.

        `is_sorted`: the most likely is the first, and so on.
        """
        struct = self._apply(chain, ids, row, is_sorted=is_sorted)
        return struct.data[struct.selected].id

    def rewrite(self, stage: Any, ids: IdArray, row: Float32Array) -> None:
        """Apply a stage that only changes logits, and write them back into `row`."""
        self._apply(stage, ids, row, is_sorted=False)
        row[ids] = self._buffer["logit"][: len(ids)]

    def _apply(self, stage: Any, ids: IdArray, row: Float32Array, *, is_sorted: bool) -> Any:
        count = len(ids)
        if count > len(self._buffer):
            self._buffer = np.zeros(2 * count, _TOKEN_DATA)
        self._buffer["id"][:count] = ids
        self._buffer["logit"][:count] = row[ids]
        struct = self._struct
        struct.data = ctypes.cast(self._buffer.ctypes.data, lib.llama_token_data_p)
        struct.size, struct.selected, struct.sorted = count, -1, is_sorted
        lib.llama_sampler_apply(stage, ctypes.byref(struct))
        return struct
