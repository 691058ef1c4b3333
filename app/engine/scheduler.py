"""What runs next: pure decisions over sequences, no llama.cpp and no clock.

Each step holds the next token of every decoding sequence, then pieces of prompts. A sequence is
admitted when its tokens fit beside everything already admitted. When decoding runs out of room,
the newest sequence of the lowest priority is parked: it gives up its cells and comes back later,
so that requests whose sum exceeds the cache all succeed.
"""

from collections.abc import Callable
from dataclasses import dataclass

from app.engine.cells import CellLedger
from app.engine.fairness import FairShare
from app.engine.prefix.tree import cells_to_restore
from app.engine.sequence import Sequence
from app.engine.step import Piece, Step

# cells kept free beyond a newcomer's tokens, so that it is not parked again at once
_HEADROOM = 32


@dataclass(frozen=True, slots=True)
class Limits:
    """What the context offers: sequences, KV cells, tokens and logits rows per decode.
    `shares_cells` False: every sequence has cells of its own, enough for any."""

    max_sequences: int
    kv_size: int
    batch_tokens: int
    max_outputs: int
    shares_cells: bool = True


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
        self._free_slots = list(range(limits.max_sequences - 1, -1, -1))
        self._admissions = 0
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
        head.slot = self._free_slots.pop()
        self._admissions += 1
        head.admitted = self._admissions
        self.live.append(head)
        return head

    def outranked(self) -> Sequence | None:
        """A live sequence that should make room for one of higher priority in the queue."""
        if not (self.waiting and self.live):
            return None
        victim = self._last()
        most_urgent = min(sequence.spec.priority for sequence in self.waiting)
        return victim if victim.spec.priority > most_urgent else None

    def plan(self, budget: int) -> Step:
        """Choose the next step's pieces among the attached sequences; `budget` bounds the prompt
        tokens."""
        step = Step()
        room, outputs = self._limits.batch_tokens, self._limits.max_outputs
        for sequence in self.live:
            if sequence.is_decoding and room and outputs:
                piece = Piece(sequence, sequence.next_piece(room))
                step.decode.append(piece)
                room -= piece.count
                outputs -= piece.n_outputs
        room = min(room, budget)
        for sequence in sorted(self.live, key=_rank):
            if not (room and outputs):
                break
            if sequence.is_decoding or not sequence.is_attached:
                continue
            most = min(room, outputs) if sequence.wants_prompt_logprobs else room
            piece = Piece(sequence, sequence.next_piece(most))
            step.prefill.append(piece)
            room -= piece.count
            outputs -= piece.n_outputs
        return step

    def victim(self) -> Sequence | None:
        """The sequence to park when there is no room: the newest of the lowest priority; None when
        only one is left."""
        return self._last() if len(self.live) > 1 else None

    def release(self, sequence: Sequence) -> None:
        """The sequence leaves the context; its slot may be used again."""
        self.live.remove(sequence)
        self._free_slots.append(sequence.slot)

    def has_room(self, step: Step) -> bool:
        """Whether the KV cache can hold the step's tokens."""
        if not self._limits.shares_cells:
            return True
        return self._cells.used + step.n_tokens <= self._limits.kv_size

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


def _outstanding(sequence: Sequence) -> int:
    """Cells that the known tokens of a sequence will still take, or its parked state meanwhile."""
    if sequence.is_attached:
        return sequence.remaining
    share, parked = sequence.expected_share, sequence.parked_state
    needed = sequence.length - share
    if parked is None:
        return needed
    return max(needed, cells_to_restore(parked, sequence.computed_before, share))
