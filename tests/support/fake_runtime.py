"""A `Runtime` without llama.cpp that keeps its ordering rules and breaks loudly on a violation.

The next token depends on every token in the sequence's cache, so that an answer is right only
when the engine computed the right tokens, at the right positions, in the right sequence.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from app.core.adapters import NO_ADAPTERS, AdapterSet
from app.core.memory import MemoryTraits, SavedRange
from app.core.requests import SamplingParams
from app.engine.runtime import Float32Array, Permit, Vocabulary

END = 0


class FakeVocabulary:
    """Token t is the character chr(96 + t); token 0 ends the text."""

    size = 27
    end_tokens = frozenset({END})

    def piece(self, token: int, *, special: bool = False) -> bytes:
        return (b"<end>" if special else b"") if token == END else bytes([96 + token])


class FakeSampler:
    """Takes the likeliest of the tokens that nobody has masked."""

    def __init__(self) -> None:
        self.is_closed = False

    def sample(self, row: int, logits: np.ndarray, permit: Permit | None = None) -> int:
        if permit is not None:
            permit.mask(logits)
        return int(logits.argmax())

    def accept(self, token: int) -> None:
        pass

    def close(self) -> None:
        self.is_closed = True


@dataclass
class FakeBatch:
    capacity: int
    token: np.ndarray = field(init=False)
    position: np.ndarray = field(init=False)
    sequence: np.ndarray = field(init=False)
    output: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.token = np.zeros(self.capacity, np.int32)
        self.position = np.zeros(self.capacity, np.int32)
        self.sequence = np.zeros(self.capacity, np.int32)
        self.output = np.zeros(self.capacity, np.int8)


def next_token(history: Sequence[int], adapters: AdapterSet = NO_ADAPTERS) -> int:
    """Never the end token, so that answers run to their limit."""
    value = 7
    for name, scale in adapters:
        value = (value * 131 + sum(name.encode()) + round(1000 * scale)) % 1_000_003
    for token in history:
        value = (value * 31 + token + 1) % 1_000_003
    return 1 + value % 26


def answer(prompt: Sequence[int], count: int, adapters: AdapterSet = NO_ADAPTERS) -> list[int]:
    """What a sequence must generate when nothing goes wrong."""
    history = list(prompt)
    for _ in range(count):
        history.append(next_token(history, adapters))
    return history[len(prompt) :]


def mark_of(adapters: AdapterSet) -> int:
    """A small number that tells sets of adapters apart, 0 for none; other sets may share it."""
    return next_token((), adapters) % 6 + 1 if adapters else 0


class Cell:
    """One token in the cache, marked by what it was computed under; several sequences may hold
    it."""

    def __init__(self, token: int, mark: int = 0) -> None:
        self.token = token
        self.mark = mark


def traits(*, is_cuttable: bool = True, is_unified: bool = True, size: int = 256) -> MemoryTraits:
    return MemoryTraits(
        kind="attention" if is_cuttable else "recurrent",
        cells_per_sequence=size,
        shares_cells=is_unified,
        saves_ranges=is_cuttable and is_unified,
        is_cuttable=is_cuttable,
        computes_runs=not (is_cuttable and is_unified),
    )


class FakeRuntime:
    """With a memory that cannot be cut, a sequence can be shared and cut at its end only."""

    # in a saved state, a token that was computed under adapters is so much larger by mark
    mark_unit = 32

    def __init__(
        self,
        *,
        kv_size: int = 256,
        max_sequences: int = 4,
        batch_capacity: int = 32,
        max_outputs: int = 8,
        memory: MemoryTraits | None = None,
        vocabulary: Vocabulary | None = None,
    ) -> None:
        self.memory = memory or traits(size=kv_size)
        self.vocabulary: Vocabulary = vocabulary or FakeVocabulary()
        self.batch = FakeBatch(batch_capacity)
        self.batch_capacity = batch_capacity
        self.max_outputs = max_outputs
        self.max_sequences = max_sequences
        self.kv_size = kv_size
        self.cache: dict[int, list[Cell]] = {}
        self.computed = 0
        self.saves = 0
        self.steps: list[int] = []
        self.adapters: AdapterSet = NO_ADAPTERS
        self.adapted: list[AdapterSet] = []
        self.samplers: list[FakeSampler] = []
        self.gate = threading.Event()
        self.gate.set()
        self.refuse_decodes = 0
        self.fail_with: Exception | None = None
        self.is_closed = False
        self._logits = np.zeros((0, self.vocabulary.size), np.float32)

    def adapt(self, adapters: AdapterSet) -> None:
        assert adapters != self.adapters, "adapters are changed where they differ"
        self.adapters = adapters

    def decode(self, n_tokens: int) -> bool:
        assert self.gate.wait(10)
        if self.fail_with is not None:
            raise self.fail_with
        if self.refuse_decodes:
            self.refuse_decodes -= 1
            return False
        assert 0 < n_tokens <= self.batch_capacity
        if self.memory.shares_cells:
            assert self.cells_used + n_tokens <= self.kv_size, "no room"
        self.computed += n_tokens
        self.steps.append(n_tokens)
        self.adapted.append(self.adapters)
        mark = mark_of(self.adapters)
        rows: list[np.ndarray] = []
        for row in range(n_tokens):
            slot = int(self.batch.sequence[row])
            assert 0 <= slot < self.max_sequences
            history = self.cache.setdefault(slot, [])
            assert int(self.batch.position[row]) == len(history), "positions must follow"
            history.append(Cell(int(self.batch.token[row]), mark))
            assert all(cell.mark == mark for cell in history), "computed under other adapters"
            assert len(history) <= self.memory.cells_per_sequence
            if self.batch.output[row]:
                rows.append(self.row_after([cell.token for cell in history]))
        assert len(rows) <= self.max_outputs
        self._logits = np.stack(rows) if rows else self._logits[:0]
        return True

    def row_after(self, tokens: Sequence[int]) -> Float32Array:
        """The logits that follow `tokens`, of shape (vocabulary size,)."""
        row = np.full(self.vocabulary.size, -1.0, np.float32)
        row[next_token(tokens, self.adapters)] = 4.0
        return row

    def logits(self, n_rows: int) -> np.ndarray:
        assert n_rows == len(self._logits)
        return self._logits

    @property
    def cells_used(self) -> int:
        return len({cell for cells in self.cache.values() for cell in cells})

    def tokens(self, sequence: int) -> list[int]:
        return [cell.token for cell in self.cache.get(sequence, [])]

    def remove(self, sequence: int, start: int, end: int) -> None:
        assert end == -1
        kept = self.cache.pop(sequence, [])[: max(start, 0)]
        if kept:
            assert self.memory.is_cuttable
            self.cache[sequence] = kept

    def shortest(self, sequence: int, length: int) -> int:
        assert len(self.cache[sequence]) == length
        return 0 if self.memory.is_cuttable else length

    def share(self, source: int, target: int, end: int) -> None:
        assert target not in self.cache, "the target must be empty"
        cells = self.cache[source]
        assert self.shortest(source, len(cells)) <= end <= len(cells)
        if not self.memory.shares_cells:
            cells = [Cell(cell.token, cell.mark) for cell in cells]
        self.cache[target] = cells[:end]

    def save(self, sequence: int, start: int) -> memoryview:
        assert start == 0 or self.memory.saves_ranges
        self.saves += 1
        return memoryview(bytearray(self.packed(sequence)[start:]))

    def packed(self, sequence: int) -> list[int]:
        """A number for each cell."""
        cells = self.cache.get(sequence, [])
        return [cell.token + self.mark_unit * cell.mark for cell in cells]

    def restore(self, sequence: int, ranges: Sequence[SavedRange], have: int = 0) -> bool:
        kept, room = self.cache.get(sequence, []), self.kv_size - self.cells_used
        assert len(kept) == have
        assert not have or (self.memory.saves_ranges and self.memory.is_cuttable)
        cells: list[Cell] = []
        for part in ranges:
            assert part.start == len(cells), "ranges must adjoin"
            assert part.start < part.end <= part.start + len(part.state)
            numbers = part.state.tolist()[: part.end - part.start]
            cells += [Cell(n % self.mark_unit, n // self.mark_unit) for n in numbers]
        assert self.memory.is_cuttable or ranges[-1].end == ranges[-1].start + len(ranges[-1].state)
        assert [(cell.token, cell.mark) for cell in cells[:have]] == [
            (cell.token, cell.mark) for cell in kept
        ]
        # a state is put down whole, then cut to what is wanted of it
        for part in ranges:
            needed = max(part.start - have, 0) + len(part.state)
            if self.memory.shares_cells and part.end > have and needed > room:
                self.cache.pop(sequence, None)
                return False
        self.cache[sequence] = [*kept, *cells[have:]]
        return True

    def make_sampler(self, params: SamplingParams, prompt: Sequence[int]) -> FakeSampler:
        self.samplers.append(FakeSampler())
        return self.samplers[-1]

    def make_graph_sampler(self, params: SamplingParams) -> None:
        return None

    def seat(self, slot: int, sampler: object) -> None:
        assert 0 <= slot < self.max_sequences

    def close(self) -> None:
        self.is_closed = True
