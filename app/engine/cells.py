"""How many cells of a unified KV cache are in use, to the cell, where sequences share some.

llama.cpp does not tell. Sequences hold runs of cells; a run that two hold counts once.
"""

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class _Run:
    length: int
    holders: int


class CellLedger:
    """Books over the slots of one context."""

    def __init__(self, *, shares_cells: bool) -> None:
        """`shares_cells` False: what one sequence takes over from another is a copy."""
        self._shares_cells = shares_cells
        self._runs: dict[int, list[_Run]] = {}
        self.used = 0

    def length(self, slot: int) -> int:
        """Cells that a slot holds, alone or with others."""
        return sum(run.length for run in self._runs.get(slot, ()))

    def extend(self, slot: int, count: int) -> None:
        """The slot gets `count` new cells."""
        if not count:
            return
        runs = self._runs.setdefault(slot, [])
        if runs and runs[-1].holders == 1:
            runs[-1].length += count
        else:
            runs.append(_Run(count, 1))
        self.used += count

    def share(self, source: int, target: int, count: int) -> None:
        """An empty slot gets the first `count` cells of another."""
        if not self._shares_cells:
            self.extend(target, count)
            return
        shared = self._runs[source][: self._split(source, count)]
        for run in shared:
            run.holders += 1
        self._runs[target] = list(shared)

    def cut(self, slot: int, length: int) -> None:
        """The slot keeps its first `length` cells."""
        if slot not in self._runs:
            return
        keep = self._split(slot, length) if length else 0
        runs = self._runs[slot]
        for run in runs[keep:]:
            run.holders -= 1
            if not run.holders:
                self.used -= run.length
        del runs[keep:]
        if not runs:
            del self._runs[slot]

    def _split(self, slot: int, at: int) -> int:
        """Make a run of the slot end at cell `at`; how many runs come before it."""
        runs, index = self._runs[slot], 0
        while index < len(runs) and runs[index].length <= at:
            at -= runs[index].length
            index += 1
        if not at:
            return index
        run = runs[index]
        rest = _Run(run.length - at, run.holders)
        run.length = at
        for others in self._runs.values():
            if run in others:
                others.insert(others.index(run) + 1, rest)
        return index + 1
