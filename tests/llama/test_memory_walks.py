"""Long random walks through everything that can be done with a memory, against the plain truth."""

import random
from dataclasses import dataclass, field

import numpy as np
import pytest

from app.core.memory import SavedRange
from app.llama.context import LlamaRuntime
from tests.llama.memory_cases import (
    CASES,
    ORDER_TOLERANCE,
    Case,
    Logits,
    Tokens,
    Zoo,
    decode,
    open_context,
    read,
    typical,
)

SEQUENCES, LONGEST, STEPS = 4, 220, 150


@dataclass(slots=True)
class Walk:
    """Sequences by id, what was saved, and logits to be compared with the truth at the end."""

    runtime: LlamaRuntime
    choose: random.Random
    lines: dict[int, list[int]] = field(
        default_factory=lambda: {sequence: [] for sequence in range(SEQUENCES)}
    )
    saved: list[tuple[list[int], memoryview]] = field(
        default_factory=list[tuple[list[int], memoryview]]
    )
    seen: list[tuple[list[int], Logits]] = field(default_factory=list[tuple[list[int], Logits]])

    def extend(self) -> None:
        """Each of some sequences gets some tokens, all in one batch."""
        rows: list[tuple[int, int, int]] = []
        count = self.choose.choice([1, 1, 3, 30])
        some = [s for s in range(SEQUENCES) if len(self.lines[s]) < LONGEST]
        for sequence in self.choose.sample(some, self.choose.randint(1, len(some)) if some else 0):
            line = self.lines[sequence]
            for _ in range(count):
                line.append(self.choose.randrange(10, 400))
                rows.append((line[-1], len(line) - 1, sequence))
        if not rows:
            return self.leave()
        logits = decode(self.runtime, rows)
        assert logits is not None, "there is room for all of them"
        self.seen.append((list(self.lines[rows[-1][2]]), logits[0]))
        return None

    def leave(self) -> None:
        sequence = self.choose.randrange(SEQUENCES)
        self.runtime.remove(sequence, -1, -1)
        self.lines[sequence] = []

    def share(self) -> None:
        source, target = self.choose.sample(range(SEQUENCES), 2)
        length = len(self.lines[source])
        if length:
            end = self._anywhere(source)
            self.runtime.remove(target, -1, -1)
            self.runtime.share(source, target, end)
            self.lines[target] = self.lines[source][:end]

    def cut(self) -> None:
        sequence = self.choose.randrange(SEQUENCES)
        if self.lines[sequence]:
            end = self._anywhere(sequence)
            self.runtime.remove(sequence, end, -1)
            del self.lines[sequence][end:]

    def save(self) -> None:
        sequence = self.choose.randrange(SEQUENCES)
        if self.lines[sequence]:
            self.saved.append((list(self.lines[sequence]), self.runtime.save(sequence, 0)))

    def restore(self) -> None:
        if self.saved:
            line, state = self.choose.choice(self.saved)
            target = self.choose.randrange(SEQUENCES)
            self.runtime.remove(target, -1, -1)
            assert self.runtime.restore(target, [SavedRange(state, 0, len(line))])
            self.lines[target] = list(line)

    def _anywhere(self, sequence: int) -> int:
        length = len(self.lines[sequence])
        return self.choose.randint(max(self.runtime.shortest(sequence, length), 1), length)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_is_ever_mixed_up(zoo: Zoo, case: Case) -> None:
    runtime = open_context(zoo.model(case.architecture), **case.options)
    walk = Walk(runtime, random.Random(case.name))
    steps = [walk.extend] * 6 + [walk.leave, walk.share, walk.cut, walk.save, walk.restore]
    for _ in range(STEPS):
        walk.choose.choice(steps)()
    for sequence in range(SEQUENCES):
        runtime.remove(sequence, -1, -1)
    truths = np.array([_compute(runtime, np.array(line)) for line, _ in walk.seen])
    found = np.array([logits for _, logits in walk.seen])
    runtime.close()
    far = np.abs(found - truths).max(axis=1)
    assert len(found) > STEPS / 3
    assert typical(found, truths) < ORDER_TOLERANCE
    assert (far > 5 * ORDER_TOLERANCE).mean() < 0.02, "more than experts of equal merit"
    assert typical(found[1:], truths[:-1]) > 10 * ORDER_TOLERANCE, "negative control"


def _compute(runtime: LlamaRuntime, line: Tokens) -> Logits:
    logits = read(runtime, 0, line)[-1]
    runtime.remove(0, -1, -1)
    return logits
