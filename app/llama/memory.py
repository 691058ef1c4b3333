"""What a context remembers: sharing, cutting, saving and restoring the cells of sequences."""

import ctypes
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from app.core.errors import EngineFailed
from app.core.memory import MemoryKind, MemoryTraits, SavedRange
from app.llama.bindings import lib

_WHOLE = 0
# only the cells of the layers that look through a window (or keep a state)
_WINDOW_ONLY = lib.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY


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
        `keeps_whole_window`: a sliding window's cache has room for everything; even then it may
        lose what is no longer looked at, and a saved state has only the window."""
        self._context = context
        self._handle: Any = lib.llama_get_memory(context)
        self._scratch = scratch
        self._window: int = lib.llama_model_n_swa(model)
        kind = memory_kind(model)
        is_unified = scratch is not None
        cells: int = lib.llama_n_ctx_seq(context)
        self.traits = MemoryTraits(
            kind=kind,
            cells_per_sequence=cells,
            shares_cells=is_unified,
            saves_ranges=is_unified and kind in ("attention", "sliding"),
            is_cuttable=kind == "attention",
            window=self._window if kind == "sliding" else 0,
            computes_runs=kind == "recurrent" or not is_unified,
        )
        # As llama.cpp sizes the windows' cells. Where they are fewer than the others it counts on
        # taking back those no longer looked at, which it only does with one sequence's alone.
        room = self._window * lib.llama_n_seq_max(context) + lib.llama_n_ubatch(context)
        self._has_narrow_window = (
            is_unified and kind == "sliding" and room < cells and not keeps_whole_window
        )

    def remove(self, sequence: int, start: int, end: int) -> None:
        if not lib.llama_memory_seq_rm(self._handle, sequence, start, end):
            raise EngineFailed(f"llama.cpp cannot forget positions {start} to {end} of a sequence.")

    def shortest(self, sequence: int, length: int) -> int:
        """The shortest prefix to which `length` positions can be cut back, or that can be shared:
        all that a token after it would look at must still be there."""
        if self.traits.kind == "attention":
            return 0
        if self.traits.kind != "sliding":
            return length
        oldest: int = lib.llama_memory_seq_pos_min(self._handle, sequence)
        if not self.traits.shares_cells:  # a copy keeps what the last token looks at
            oldest = max(oldest, length - self._window)
        # the next token is in its own window
        return 0 if oldest <= 0 else min(oldest + self._window - 1, length)

    def share(self, source: int, target: int, end: int) -> None:
        """Metadata only in a unified cache, but for a window's cells; a copy otherwise.

        The target is empty, and `end` at least the source's shortest prefix.
        """
        if self.traits.shares_cells:
            lib.llama_memory_seq_cp(self._handle, source, target, 0, end)
            if self._has_narrow_window:
                self._own_window(target)
        elif not self.restore(target, [SavedRange(self.save(source, 0), 0, end)]):
            # between streams llama.cpp's own copy waits for the next decode: what is done to
            # either sequence before that would be lost
            raise EngineFailed("llama.cpp cannot copy a sequence to another.")

    def save(self, sequence: int, start: int) -> memoryview:
        """The bytes of a sequence from position `start` on."""
        if start == 0 or self._scratch is None:
            return self._copy_out(sequence)
        lib.llama_memory_seq_cp(self._handle, sequence, self._scratch, start, -1)
        try:
            return self._copy_out(self._scratch)
        finally:
            self.remove(self._scratch, -1, -1)

    def restore(self, sequence: int, ranges: Sequence[SavedRange], have: int = 0) -> bool:
        """Fill a sequence with ranges that follow each other, the first from 0 on. In a unified
        cache of plain attention it may `have` its first positions already.

        False, and empty, when there is no room, or when a window would have a hole: of each range
        only what the last token of its state looked at is there.
        """
        oldest = 0
        for part in ranges:
            if part.end <= have:
                continue
            start = self._put(sequence, replace(part, start=max(part.start, have)))
            if start is None:
                self.remove(sequence, -1, -1)
                return False
            if start > max(part.start, have):
                oldest = start
        if self.traits.kind == "sliding":
            if oldest > max(0, ranges[-1].end - self._window + 1):
                self.remove(sequence, -1, -1)
                return False
            if len(ranges) > 1:  # leaves nothing older than a gap
                self._own_window(sequence)
        return True

    def _put(self, sequence: int, part: SavedRange) -> int | None:
        """Add a range; the first position of it that a window's layers have, None: no room."""
        if part.start == 0:
            if not self._copy_in(part.state, sequence):
                return None
            self._cut(sequence, part.end)
            return self._oldest(sequence, part)
        if self._scratch is None:
            raise EngineFailed("A cache that is split by sequence keeps whole sequences only.")
        try:
            if not self._copy_in(part.state, self._scratch):
                return None
            self.remove(self._scratch, 0, part.start)
            self._cut(self._scratch, part.end)
            lib.llama_memory_seq_cp(self._handle, self._scratch, sequence, -1, -1)
            return self._oldest(self._scratch, part)
        finally:
            self.remove(self._scratch, -1, -1)

    def _cut(self, sequence: int, end: int) -> None:
        if self.traits.kind in ("attention", "sliding"):
            self.remove(sequence, end, -1)

    def _oldest(self, sequence: int, part: SavedRange) -> int:
        if self.traits.kind != "sliding":
            return part.start
        oldest: int = lib.llama_memory_seq_pos_min(self._handle, sequence)
        return part.end if oldest < 0 else oldest

    def _own_window(self, sequence: int) -> None:
        """Give a sequence cells of its own for its window, and only for that."""
        state = self._copy_out(sequence, _WINDOW_ONLY)
        if not self._copy_in(state, sequence, _WINDOW_ONLY):
            raise EngineFailed("llama.cpp has no room for the window of a sequence.")

    def _copy_out(self, sequence: int, flags: int = _WHOLE) -> memoryview:
        size: int = lib.llama_state_seq_get_size_ext(self._context, sequence, flags)
        state = np.empty(size, np.uint8).data
        pointer = (ctypes.c_uint8 * size).from_buffer(state)
        written = lib.llama_state_seq_get_data_ext(self._context, pointer, size, sequence, flags)
        if not written:
            raise EngineFailed("llama.cpp cannot save the state of a sequence.")
        return state[:written]

    def _copy_in(self, state: memoryview, sequence: int, flags: int = _WHOLE) -> bool:
        pointer = (ctypes.c_uint8 * len(state)).from_buffer(state)
        read = lib.llama_state_seq_set_data_ext(self._context, pointer, len(state), sequence, flags)
        return read == len(state)
