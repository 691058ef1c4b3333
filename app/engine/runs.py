"""Sequences in one pass: where llama.cpp wants their numbers to follow each other.

A batch of sequences with states or cells of their own is computed in as many passes as it has runs
of such numbers. A pass reads all weights, so 16 streams in disorder took twice the time of 16 in
order, and a server whose answers end at different times has gaps everywhere. A row without meaning
in an empty slot closes a gap for the price of one row.
"""

from collections.abc import Collection, Sequence
from itertools import pairwise


def find_fillers(slots: Sequence[int], occupied: Collection[int], most: int) -> list[int]:
    """Which empty slots should take part beside `slots`, at most so many; both ascending. A gap is
    closed where it is no longer than what is on either side of it, and nobody is in it
    (`occupied`)."""
    fillers: list[int] = []
    runs = _runs(slots)
    size = len(runs[0]) if runs else 0
    for before, after in pairwise(runs):
        gap = range(before[-1] + 1, after[0])
        is_worth_it = len(gap) <= min(size, len(after), most - len(fillers))
        if is_worth_it and not any(slot in occupied for slot in gap):
            fillers += gap
            size += len(gap) + len(after)
        else:
            size = len(after)
    return fillers


def _runs(slots: Sequence[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for slot in slots:
        if runs and runs[-1][-1] + 1 == slot:
            runs[-1].append(slot)
        else:
            runs.append([slot])
    return runs
