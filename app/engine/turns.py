"""Whose turn it is among sequences under different adapters.

A context computes under one set of adapters at a time, so a step holds sequences of one set only.
Sets take turns in rounds: in each, every set with decoding sequences has one turn, those whose
sequences are older first, and so has that of the next prompt where steps mix both. A round begins
with the set that the context has already. To change it makes llama.cpp plan its compute graph anew,
so where nobody waits to be read, a turn may be several steps.
"""

import math
from collections.abc import Collection, Sequence

from app.core.adapters import NO_ADAPTERS, AdapterSet
from app.engine.step_times import StepTimes

_SWITCH_SHARE = 0.1  # of the time that changing adapters may take
_MOST_STEPS = 64


class Turns:
    def __init__(self) -> None:
        self._current: AdapterSet = NO_ADAPTERS
        self._steps = 0  # of the current turn
        self._had: set[AdapterSet] = set()  # had their turn in this round

    def choose(self, sets: Sequence[AdapterSet]) -> AdapterSet:
        """Who of `sets`, at least one and the oldest first, is next."""
        left = [one for one in sets if one not in self._had] or sets
        return self._current if self._current in left else left[0]

    def is_last_step(self, chosen: AdapterSet, turn_steps: int) -> bool:
        """Whether a turn of `turn_steps` ends with the next step of the set that was chosen."""
        done = self._steps if chosen == self._current else 0
        return done + 1 >= turn_steps

    def advance(self, chosen: AdapterSet, *, is_turn: bool, ends_turn: bool) -> None:
        """A step of a set was computed. `is_turn`: it was (part of) its turn; else only prompts
        were read between turns."""
        if chosen != self._current:
            self._current, self._steps = chosen, 0
        if not is_turn:
            return
        self._steps += 1
        if ends_turn:
            self._had.add(chosen)
            self._steps = 0

    def is_round_over(self, sets: Collection[AdapterSet]) -> bool:
        """Whether all of these sets had their turn; then a new round begins."""
        if any(one not in self._had for one in sets):
            return False
        self._had.clear()
        return True


def choose_turn_steps(times: StepTimes, rows: Collection[int], target_seconds: float) -> int:
    """How many steps a turn is, of sets with so many `rows` of decoding sequences each: as many as
    make the changes between them cheap, as far as no stream waits longer than the target, 0 for no
    bound. Two turns of a set can follow each other."""
    if len(rows) < 2:
        return 1
    once = sum(times.decode(count) for count in rows)
    if not once:
        return 1
    changes = len(rows) * times.switch
    wanted = math.ceil(changes / (_SWITCH_SHARE * once))
    if target_seconds:
        wanted = min(wanted, int((target_seconds - changes) / (2 * once)))
    return min(max(wanted, 1), _MOST_STEPS)
