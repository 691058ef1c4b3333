"""What the engine and llama.cpp's side say to each other about the memory of sequences."""

from dataclasses import dataclass
from typing import Literal

MemoryKind = Literal["attention", "sliding", "recurrent", "hybrid"]


@dataclass(frozen=True, slots=True)
class MemoryTraits:
    """What a context's memory can do, and what the engine must therefore not ask of it.

    `cells_per_sequence`: the most cells that one sequence may hold. `shares_cells`: a prefix that
    two sequences share takes its cells once. `saves_ranges`: a sequence can be saved without its
    beginning, and put together again from pieces. `is_cuttable`: any tail can be cut off.
    `window`: positions that a sliding window looks back, else 0; a saved state holds no others.
    `computes_runs`: sequences share a pass only where their numbers follow each other.
    """

    kind: MemoryKind
    cells_per_sequence: int
    shares_cells: bool
    saves_ranges: bool
    is_cuttable: bool
    window: int = 0
    computes_runs: bool = False

    def shortest_saved(self, length: int) -> int:
        """To how many positions a saved state of `length` can be cut back, at least."""
        if self.is_cuttable or length <= self.window:
            return 0
        return length - 1 if self.window else length  # the next token is in its own window


@dataclass(frozen=True, slots=True)
class SavedRange:
    """Positions start..end-1 of a sequence, to be taken from the bytes of `state`, which may hold
    more."""

    state: memoryview
    start: int
    end: int
