"""What a context remembers: sharing, cutting, saving and restoring the cells of sequences."""

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from app.core.errors import EngineFailed
from app.core.memory import MemoryKind, MemoryTraits, SavedRange
from app.llama.bindings import lib

_NO_FLAGS = 0


def memory_kind(model: Any) -> MemoryKind:
    """How a model (its handle) remembers what it has read."""
    if lib.llama_model_is_hybrid(model):
        return "hybrid"
    if lib.llama_model_is_recurrent(model):
        return "recurrent"
    return "sliding" if lib.llama_model_n_swa(model) > 0 else "attention"


class Memory:
    """The memory of one context.

    A unified cache has one more sequence than its users know of: a scratch place, where a range
    is cut out of a sequence to be saved, and put down before it is joined to one.
    """

    def __init__(
        self, context: Any, model: Any, *, scratch: int | None, keeps_whole_window: bool
    ) -> None:
        """`scratch`: id of the spare sequence, None in a cache that is split by sequence.
        `keeps_whole_window`: a sliding window's cache has room for everything."""
        self._context = context
        self._handle: Any = lib.llama_get_memory(context)
        self._scratch = scratch
        self._window: int = lib.llama_model_n_swa(model)
        kind = memory_kind(model)
        if kind == "sliding" and keeps_whole_window:
            kind = "attention"
        is_unified = scratch is not None
        self.traits = MemoryTraits(
            kind=kind,
            cells_per_sequence=lib.llama_n_ctx_seq(context),
            shares_cells=is_unified,
            saves_ranges=is_unified and kind in ("attention", "sliding"),
            is_cuttable=kind == "attention",
        )

    def remove(self, sequence: int, start: int, end: int) -> None:
        if not lib.llama_memory_seq_rm(self._handle, sequence, start, end):
            raise EngineFailed(f"llama.cpp cannot forget positions {start} to {end} of a sequence.")

    def shortest(self, sequence: int, length: int) -> int:
        """The shortest prefix to which `length` positions can be cut back, or that can be shared:
        all that a token after it would look at must still be there."""
        if self.traits.kind == "attention":
            return 0
        if self.traits.kind == "sliding":
            oldest: int = lib.llama_memory_seq_pos_min(self._handle, sequence)
            return 0 if oldest <= 0 else min(oldest + self._window, length)
        return length

    def share(self, source: int, target: int, end: int) -> None:
        """Metadata only in a unified cache; a copy of the cells otherwise."""
        if self.traits.shares_cells:
            lib.llama_memory_seq_cp(self._handle, source, target, 0, end)
            return
        # between streams llama.cpp copies whole sequences only
        lib.llama_memory_seq_cp(self._handle, source, target, -1, -1)
        if self.traits.is_cuttable:
            self.remove(target, end, -1)

    def save(self, sequence: int, start: int) -> memoryview:
        """The bytes of a sequence from position `start` on."""
        if start == 0 or self._scratch is None:
            return self._copy_out(sequence)
        lib.llama_memory_seq_cp(self._handle, sequence, self._scratch, start, -1)
        try:
            return self._copy_out(self._scratch)
        finally:
            self.remove(self._scratch, -1, -1)

    def restore(self, sequence: int, ranges: Sequence[SavedRange]) -> bool:
        """Fill an empty sequence; False, and still empty, when there is no room."""
        for part in ranges:
            if not self._put(sequence, part):
                self.remove(sequence, -1, -1)
                return False
        if self.traits.is_cuttable:
            self.remove(sequence, ranges[-1].end, -1)
        return True

    def _put(self, sequence: int, part: SavedRange) -> bool:
        if part.start == 0:
            return self._copy_in(part.state, sequence)
        if self._scratch is None:
            raise EngineFailed("A cache that is split by sequence keeps whole sequences only.")
        try:
            if not self._copy_in(part.state, self._scratch):
                return False
            self.remove(sequence, part.start, -1)
            lib.llama_memory_seq_cp(self._handle, self._scratch, sequence, part.start, part.end)
        finally:
            self.remove(self._scratch, -1, -1)
        return True

    def _copy_out(self, sequence: int) -> memoryview:
        size: int = lib.llama_state_seq_get_size_ext(self._context, sequence, _NO_FLAGS)
        state = np.empty(size, np.uint8).data
        pointer = (ctypes.c_uint8 * size).from_buffer(state)
        written = lib.llama_state_seq_get_data_ext(
            self._context, pointer, size, sequence, _NO_FLAGS
        )
        if not written:
            raise EngineFailed("llama.cpp cannot save the state of a sequence.")
        return state[:written]

    def _copy_in(self, state: memoryview, sequence: int) -> bool:
        pointer = (ctypes.c_uint8 * len(state)).from_buffer(state)
        read = lib.llama_state_seq_set_data_ext(
            self._context, pointer, len(state), sequence, _NO_FLAGS
        )
        return read == len(state)
