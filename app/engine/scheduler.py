"""What runs next: pure decisions over sequences, no llama.cpp and no clock.

Steps take turns: the next token of every decoding sequence, then prompts up to a budget. A sequence
is admitted when its tokens fit beside everything already admitted. When decoding runs out of room,
the newest sequence of the lowest priority is parked: it gives up its cells and comes back later,
so that requests whose sum exceeds the cache all succeed. A step holds sequences under the same
adapters only (see `turns`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush

from app.core.adapters import NO_ADAPTERS, AdapterSet
from app.engine.budget import TILE
from app.engine.cells import CellLedger
from app.engine.fairness import FairShare
from app.engine.prefix.tree import cells_to_restore
from app.engine.runs import find_fillers
from app.engine.sequence import Sequence
from app.engine.step import Piece, Step
from app.engine.turns import Turns

# cells kept free beyond a newcomer's tokens, so that it is not parked again at once
_HEADROOM = 32


@dataclass(frozen=True, slots=True)
class Limits:
    """What the context offers: sequences, KV cells, tokens and logits rows per decode.
    `shares_cells` False: every sequence has cells of its own, enough for any. `mixes_steps`:
    prompts and decoding sequences share steps. `computes_runs`: see `MemoryTraits`."""

    max_sequences: int
    kv_size: int
    batch_tokens: int
    max_outputs: int
    shares_cells: bool = True
    mixes_steps: bool = False
    computes_runs: bool = False


class Scheduler:
    def __init__(
        self,
        limits: Limits,
        cells: CellLedger,
        expected_share: Callable[[Sequence, list[Sequence]], int],
    ) -> None:
        """`cells`: the books that `engine.placement` keeps. `expected_share`: how many cells a
        sequence will share with those that are live."""
        self._limits = limits
        self._cells = cells
        self._expected_share = expected_share
        self._free_slots = list(range(limits.max_sequences))  # a heap
        self._admissions = 0
        self._read = 0  # prompt tokens while decoding sequences waited for their turn
        self._clock = 0  # tokens computed so far
        self._reads: AdapterSet | None = None  # of the prompt that has a turn of its own
        self._turns = Turns()
        self.shares = FairShare()
        self.waiting: list[Sequence] = []
        self.live: list[Sequence] = []

    def enqueue(self, sequence: Sequence) -> None:
        """A sequence waits: a new one, or one that was parked."""
        self.shares.enter(sequence.share, (other.share for other in self.waiting))
        self.waiting.append(sequence)

    def admit(self) -> Sequence | None:
        """Move the next sequence from the queue into the context; None while it does not fit: a
        large one at the head is waited for, never overtaken for ever."""
        head = self._head() if self._free_slots else None
        if head is None:
            return None
        if self._limits.shares_cells:
            head.expected_share = self._expected_share(head, self.live)
        if self.live and not self._fits(head):
            return None
        self.waiting.remove(head)
        head.slot = heappop(self._free_slots)
        self._admissions += 1
        head.admitted = self._admissions
        self.live.append(head)
        return head

    def line_up(self, sequence: Sequence) -> None:
        """A prompt is to be read from where it is known. Shorter ones that come later may pass it,
        until as many tokens were computed as it has itself: so nobody waits for ever."""
        sequence.turn = self._clock + sequence.remaining

    def outranked(self) -> Sequence | None:
        """A live sequence that should make room for one of higher priority in the queue."""
        if not (self.waiting and self.live):
            return None
        victim = self._last()
        most_urgent = min(sequence.spec.priority for sequence in self.waiting)
        return victim if victim.spec.priority > most_urgent else None

    def plan(self, budget: int, turn_steps: int = 1) -> Step:
        """Choose the next step's pieces among the attached sequences; `budget` bounds the prompt
        tokens between two turns of those that decode. `turn_steps`: how many steps those under the
        same adapters may have in a turn where no prompt waits."""
        attached = [sequence for sequence in self.live if sequence.is_attached]
        decoding = [sequence for sequence in attached if sequence.is_decoding]
        reading = [sequence for sequence in attached if not sequence.is_decoding]
        reading.sort(key=_reading_order)
        if reading:
            turn_steps = 1
        if not self._limits.mixes_steps and decoding and reading:
            # llama.cpp computes attention in tiles of rows, and a tile looks at every cell that
            # one of its rows may see: together, both would cost up to twice what they cost apart
            left = budget - self._read
            if self._read and left < TILE:
                reading = []
            else:
                decoding, budget = [], left
        has_turn = bool(reading) and self._limits.mixes_steps
        self._reads = reading[0].adapters if has_turn else None
        chosen = NO_ADAPTERS
        if any(sequence.adapters for sequence in attached):
            # prompts of other sets wait until those before them have been read
            read = reading[0].adapters if reading else None
            chosen = self._choose_adapters(decoding, read)
            decoding = [sequence for sequence in decoding if sequence.adapters == chosen]
            reading = [sequence for sequence in reading if chosen == sequence.adapters == read]
        is_last = self._turns.is_last_step(chosen, turn_steps)
        step = Step(chosen, is_last, is_by_slot=self._limits.computes_runs)
        self._fill(step, decoding, reading, budget)
        return step

    def close_gaps(self, step: Step, most: int) -> None:
        """Let empty slots take part in a step where that saves passes, at most so many."""
        if self._limits.computes_runs:
            slots = [piece.sequence.slot for piece in step.pieces]
            occupied = {sequence.slot for sequence in self.live}
            step.fillers = find_fillers(slots, occupied, most)

    def advance(self, step: Step) -> None:
        """The step was computed; its sequences have not taken note of it yet."""
        self._clock += step.n_tokens
        is_turn = bool(step.decode) or self._limits.mixes_steps
        self._turns.advance(step.adapters, is_turn=is_turn, ends_turn=step.ends_turn)
        sets = [sequence.adapters for sequence in self.live if sequence.is_decoding]
        if self._reads is not None:
            sets.append(self._reads)
        is_over = self._turns.is_round_over(sets)
        self._read = 0 if is_over else self._read + step.n_prefill

    def victim(self) -> Sequence | None:
        """The sequence to park when there is no room: the newest of the lowest priority; None when
        only one is left."""
        return self._last() if len(self.live) > 1 else None

    def release(self, sequence: Sequence) -> None:
        """The sequence leaves the context; its slot may be used again."""
        self.live.remove(sequence)
        heappush(self._free_slots, sequence.slot)

    def has_room(self, step: Step) -> bool:
        """Whether the KV cache can hold the step's tokens."""
        if not self._limits.shares_cells:
            return True
        return self._cells.used + step.n_tokens <= self._limits.kv_size

    def _choose_adapters(self, decoding: list[Sequence], read: AdapterSet | None) -> AdapterSet:
        """Under which the next step is computed: those of a decoding sequence, or of the prompt
        that is next (`read`)."""
        decoding = sorted(decoding, key=lambda sequence: sequence.admitted)
        sets = dict.fromkeys(sequence.adapters for sequence in decoding)
        if read is not None:
            sets.setdefault(read)
        return self._turns.choose(list(sets))

    def _fill(
        self, step: Step, decoding: list[Sequence], reading: list[Sequence], budget: int
    ) -> None:
        room, outputs = self._limits.batch_tokens, self._limits.max_outputs
        for sequence in decoding:
            if room and outputs:
                piece = Piece(sequence, sequence.next_piece(room))
                step.add_decode(piece)
                room -= piece.count
                outputs -= piece.n_outputs
        room = min(room, budget)
        for sequence in reading:
            # who has been read has its first token now, not when the others have been read too
            is_enough = step.n_prefill >= TILE and not self._limits.mixes_steps
            if is_enough or not (room and outputs):
                break
            most = min(room, outputs) if sequence.wants_prompt_logprobs else room
            piece = Piece(sequence, sequence.next_piece(most))
            step.add_prefill(piece)
            room -= piece.count
            outputs -= piece.n_outputs

    def _head(self) -> Sequence | None:
        """The best of the queue: by priority, those that were parked first, then by fair share
        and by age."""

        def rank(sequence: Sequence) -> tuple[int, bool, int, float]:
            spec = sequence.spec
            is_new = not sequence.has_started
            return spec.priority, is_new, self.shares.clock(sequence.share), sequence.submitted

        return min(self.waiting, key=rank, default=None)

    def _last(self) -> Sequence:
        return max(self.live, key=_rank)

    def _fits(self, newcomer: Sequence) -> bool:
        if not self._limits.shares_cells:
            return True
        promised = sum(_outstanding(sequence) for sequence in self.live)
        needed = _outstanding(newcomer) + _HEADROOM
        return self._cells.used + promised + needed <= self._limits.kv_size


def _rank(sequence: Sequence) -> tuple[int, int]:
    return sequence.spec.priority, sequence.admitted


def _reading_order(sequence: Sequence) -> tuple[int, int, int]:
    return sequence.spec.priority, sequence.turn, sequence.admitted


def _outstanding(sequence: Sequence) -> int:
    """Cells that the known tokens of a sequence will still take, or its parked state meanwhile."""
    if sequence.is_attached:
        return sequence.remaining
    share, parked = sequence.expected_share, sequence.parked_state
    needed = sequence.length - share
    if parked is None:
        return needed
    return max(needed, cells_to_restore(parked, sequence.computed_before, share))
