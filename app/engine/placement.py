"""Where sequences live: in the context's cells while they run, else in the prefix store.

A sequence that is about to be computed first takes over what others know of its tokens: of a
sequence in the context (no copy), of the store in host memory (a copy of bytes), of the store on
disk; only what was computed under the same adapters. It waits while another sequence is computing
the same tokens, or while they are being read.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

from app.core.stats import CacheTier
from app.engine.cells import CellLedger
from app.engine.prefix.reader import Reading
from app.engine.prefix.store import ModelPrefixes, StoreStats
from app.engine.prefix.tree import Match, Saved, cells_to_restore, common_prefix
from app.engine.runtime import Int32Array, Runtime
from app.engine.sequence import Sequence

# new tokens of a sequence that are worth a state
_WORTH_SAVING = 8
# a common beginning of so many tokens is worth waiting for while somebody else computes it
_WORTH_WAITING = 32
# a state that is restored takes cells that a shared beginning would not: worth so many more tokens
_WORTH_COPYING = 64
# so many more tokens than are at hand are worth reading a file
_WORTH_READING = 64
# where memory cannot be cut, a state is kept so far before the end of a prompt: the next turn of
# a chat often repeats all of it but the opening of the answer
_BEFORE_THE_END = 16


@dataclass(frozen=True, slots=True)
class Attached:
    """The first `tokens` of a sequence need not be computed."""

    tokens: int
    tier: CacheTier | None


class Placement:
    """Moves sequences in and out of one runtime, and keeps the books of its cells."""

    def __init__(
        self, runtime: Runtime, prefixes: ModelPrefixes | None, wake: Callable[[], None]
    ) -> None:
        """`prefixes` None: nothing is kept of a sequence that leaves. `wake` is called, from
        another thread, when a sequence that waited for the disk may be attached."""
        self._runtime = runtime
        self._prefixes = prefixes
        self._traits = runtime.memory
        self._wake = wake
        self._readings: dict[Sequence, Reading] = {}
        # what live sequences have need not be restored before the rest is
        self._restores_ends = self._traits.is_cuttable and self._traits.saves_ranges
        self.cells = CellLedger(shares_cells=self._traits.shares_cells)

    def expected_share(self, sequence: Sequence, live: list[Sequence]) -> int:
        """How many cells a sequence will share with live ones once they have computed what they
        are asked to; these need no room."""
        wanted, shared = sequence.cacheable, 0
        for other in live:
            if other.adapters != sequence.adapters:
                continue
            count = common_prefix(other.known, wanted)
            # where memory cannot be cut, who has passed the place where they part is of no use
            if self._traits.is_cuttable or count >= other.computed:
                shared = max(shared, count)
        if self._restores_ends:
            return shared
        prefixes = self._prefixes_of(sequence)
        known = prefixes.match(wanted).usable if prefixes is not None else 0
        comes_whole = sequence.parked_state is not None or known > shared + _WORTH_COPYING
        return 0 if comes_whole else shared

    def attach(self, sequence: Sequence, live: list[Sequence]) -> Attached | None:
        """Give an admitted sequence what is known of its tokens, all but the last one.

        None when it should wait: a sequence before it in `live` is computing more of its tokens
        than anybody has yet, or they are being read from disk.
        """
        wanted = sequence.cacheable
        source, n_live = self._best_live(wanted, sequence, live)
        match = self._find(sequence, wanted, n_live)
        if match is None:
            return None
        best = max(n_live, match.usable)
        if self._should_wait(wanted, sequence, live, best):
            return None
        self._plan_checkpoints(sequence, match.known, best)
        attached = self._take_over(sequence, source, n_live, match)
        sequence.computed = attached.tokens
        sequence.is_attached = True
        self._end_reading(sequence)
        self._unpark(sequence)
        return attached

    def keep(self, sequence: Sequence) -> None:
        """Save what was computed of a sequence where enough of it is new."""
        saved = self._save(sequence, _WORTH_SAVING)
        if saved is not None and self._prefixes is not None:
            self._prefixes.unpin(saved)

    def park(self, sequence: Sequence) -> None:
        """Move a sequence out of the context, to come back with its state where that is kept."""
        saved = self._save(sequence, 1)
        if sequence.is_attached:
            sequence.computed_before = sequence.computed
        self.free(sequence)
        if saved is not None:  # else it has what it was parked with before, if anything
            sequence.parked_state = saved

    def leave(self, sequence: Sequence) -> None:
        """The sequence has ended: save what is worth it, free its cells, forget a parked state."""
        if sequence.slot >= 0:
            self.keep(sequence)
            self.free(sequence)
        self._unpark(sequence)

    def free(self, sequence: Sequence) -> None:
        """Give a sequence's cells back; it has nothing computed any more."""
        self._runtime.remove(sequence.slot, -1, -1)
        self.cells.cut(sequence.slot, 0)
        self._end_reading(sequence)
        sequence.leave_cache()

    def cut(self, sequence: Sequence, length: int) -> None:
        """Forget computed tokens after the first `length`."""
        self._runtime.remove(sequence.slot, length, -1)
        self.cells.cut(sequence.slot, length)

    def abandon(self, sequence: Sequence) -> None:
        """The context ends with a sequence in it, or parked: the store need not wait for it."""
        self._end_reading(sequence)
        self._unpark(sequence)

    def store_stats(self) -> StoreStats | None:
        return self._prefixes.stats() if self._prefixes is not None else None

    def _save(self, sequence: Sequence, least: int) -> Saved | None:
        """Save what was computed of a sequence where at least `least` tokens of it are new; the
        state that has it all now, pinned, or None."""
        computed = sequence.tokens[: sequence.computed]
        prefixes = self._prefixes_of(sequence)
        if prefixes is None or not sequence.computed:
            return None
        with ExitStack() as hold:
            match = hold.enter_context(prefixes.held(computed))
            n_new = sequence.computed - match.usable
            if match.saved is not None and n_new < least:
                return match.saved if not n_new and prefixes.pin(match.saved) else None
            if sequence.computed < least:
                return None
            start = prefixes.first_missing(match, can_save_ranges=self._traits.saves_ranges)
            if not start:
                hold.close()  # nothing will lean on it
            state = self._runtime.save(sequence.slot, start)
            shortest = self._traits.shortest_saved(sequence.computed)
            return prefixes.add(computed, state, start, shortest, match)

    def _find(self, sequence: Sequence, wanted: Int32Array, n_live: int) -> Match | None:
        """The best that can be restored now; None while a better one is being read."""
        prefixes = self._prefixes_of(sequence)
        if prefixes is None:
            return Match()
        match = self._match(prefixes, sequence, wanted)
        if match.saved is None or match.saved.is_in_memory or match.usable <= n_live:
            return match
        reading = self._readings.get(sequence)
        if reading is not None and reading.is_pending:
            return None
        # after the look: it may just have come
        at_hand = self._match(prefixes, sequence, wanted, in_memory=True)
        gain = match.usable - max(n_live, at_hand.usable)
        is_worth_it = gain >= (1 if sequence.parked_state is not None else _WORTH_READING)
        if reading is None and is_worth_it:
            reading = prefixes.read(match, self._wake)
            if reading is not None:
                self._readings[sequence] = reading
                return None
        return at_hand

    def _match(
        self,
        prefixes: ModelPrefixes,
        sequence: Sequence,
        wanted: Int32Array,
        *,
        in_memory: bool = False,
    ) -> Match:
        """The longest that is known, in memory if that is asked. A state that a sequence was parked
        with gives way only to more than it has: nobody throws it away, and its cells are free,
        while another state of the same tokens may take more of them."""
        match = prefixes.match(wanted, in_memory=in_memory)
        own, length = sequence.parked_state, sequence.computed_before
        if own is None or length > len(wanted) or (in_memory and not own.is_in_memory):
            return match
        if match.usable > length and self._has_room_for(match, 0):
            return match
        return replace(match, usable=length, saved=own)

    def _prefixes_of(self, sequence: Sequence) -> ModelPrefixes | None:
        return self._prefixes.under(sequence.adapters) if self._prefixes is not None else None

    def _tier(self, sequence: Sequence, match: Match) -> CacheTier:
        reading = self._readings.get(sequence)
        return "disk" if reading is not None and reading.saved is match.saved else "host"

    def _end_reading(self, sequence: Sequence) -> None:
        reading = self._readings.pop(sequence, None)
        if reading is not None and self._prefixes is not None:
            self._prefixes.end_reading(reading)

    def _best_live(
        self, wanted: Int32Array, sequence: Sequence, live: list[Sequence]
    ) -> tuple[Sequence | None, int]:
        best, source = 0, None
        for other in live:
            if other is sequence or other.adapters != sequence.adapters or not other.computed:
                continue
            count = common_prefix(other.tokens[: other.computed], wanted)
            if count <= best:
                continue
            if self._runtime.shortest(other.slot, other.computed) <= count:
                best, source = count, other
        return source, best

    def _should_wait(
        self, wanted: Int32Array, sequence: Sequence, live: list[Sequence], best: int
    ) -> bool:
        """Whether an older sequence will soon have much more; where memory cannot be cut, it is
        asked to stop where the two part."""
        for other in live:
            if other is sequence:
                return False
            if other.spec.priority > sequence.spec.priority:  # its turn comes after ours
                continue
            if other.adapters != sequence.adapters:
                continue
            count = common_prefix(other.known, wanted)
            if count <= best or count < _WORTH_WAITING:
                continue
            if other.is_attached and count <= other.computed:  # passed where they part
                continue
            if not self._traits.is_cuttable:
                other.checkpoints.add(count)
            return True
        return False

    def _plan_checkpoints(self, sequence: Sequence, known: int, usable: int) -> None:
        """Where memory cannot be cut, states are kept where prompts were seen to part, and just
        before the end of the prompt."""
        if self._traits.is_cuttable or self._prefixes is None:
            return
        end = len(sequence.spec.prompt) - _BEFORE_THE_END
        for position in (known, end):
            if position >= usable + _WORTH_WAITING:
                sequence.checkpoints.add(position)

    def _is_worth_copying(self, sequence: Sequence, known: int, shared: int) -> bool:
        """Whether to restore `known` tokens where the cells of `shared` could be had without."""
        costs_no_cells = self._restores_ends or not self._traits.shares_cells or not shared
        if costs_no_cells or sequence.parked_state is not None:
            return known > shared
        return known > shared + _WORTH_COPYING

    def _take_over(
        self, sequence: Sequence, source: Sequence | None, n_live: int, match: Match
    ) -> Attached:
        """What both `source` and a saved state have is shared where it can be, not restored."""
        if self._is_worth_copying(sequence, match.usable, n_live):
            have = n_live if self._restores_ends else 0
            if source is not None and have:
                self._share(source, sequence, have)
            if self._restore(sequence, match, have):
                return Attached(match.usable, self._tier(sequence, match))
        if source is None or not n_live:
            return Attached(0, None)
        self._share(source, sequence, n_live)
        return Attached(n_live, "live")

    def _share(self, source: Sequence, target: Sequence, count: int) -> None:
        self._runtime.share(source.slot, target.slot, count)
        self.cells.share(source.slot, target.slot, count)

    def _restore(self, sequence: Sequence, match: Match, have: int) -> bool:
        """Beyond the first `have` tokens, which are there. False, and nothing is there, when it is
        not possible."""
        if self._prefixes is not None and self._has_room_for(match, have):
            with self._prefixes.pieces(match) as pieces:
                if pieces and self._runtime.restore(sequence.slot, pieces, have):
                    self.cells.extend(sequence.slot, match.usable - have)
                    return True
        self.cut(sequence, 0)
        return False

    def _has_room_for(self, match: Match, have: int) -> bool:
        if match.saved is None:
            return False
        free = self._runtime.kv_size - self.cells.used
        needed = cells_to_restore(match.saved, match.usable, have)
        return not self._traits.shares_cells or needed <= free

    def _unpark(self, sequence: Sequence) -> None:
        if sequence.parked_state is not None and self._prefixes is not None:
            self._prefixes.unpin(sequence.parked_state)
            sequence.parked_state = None
