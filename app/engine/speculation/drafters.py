"""Who guesses what a sequence says next."""

from typing import Protocol

import numpy as np

from app.engine.prefix.tree import common_prefix
from app.engine.runtime import Int32Array, Runtime
from app.engine.sequence import Sequence

# how far back prompt lookup reads, in tokens
_LOOKUP_WINDOW = 16_384
# how many of the last tokens must have been there before; more are better evidence
_SHORTEST_MATCH, _LONGEST_MATCH = 2, 4


class Drafter(Protocol):
    """Guesses for several sequences at a time; one engine thread only."""

    def draft(self, sequences: list[Sequence], most: int) -> list[list[int] | None]:
        """Up to `most` next tokens of each sequence, in order; None for one whose text has to be
        read on first."""
        ...

    def leave(self, slot: int) -> None:
        """The sequence in this slot has left the context."""
        ...

    def close(self) -> None: ...


class NgramDrafter:
    """Prompt lookup (Saxena, 2023): what followed the last few tokens where they stood before, in
    the predicted answer or else in the sequence itself."""

    def draft(self, sequences: list[Sequence], most: int) -> list[list[int] | None]:
        return [self._look_up(sequence, most) for sequence in sequences]

    def leave(self, slot: int) -> None:
        pass

    def close(self) -> None:
        pass

    def _look_up(self, sequence: Sequence, most: int) -> list[int]:
        known = sequence.known[-_LOOKUP_WINDOW:]
        if len(sequence.prediction):
            n_said = sequence.generated
            own = known[len(known) - min(n_said, _LONGEST_MATCH) :]
            if n_said < _SHORTEST_MATCH and np.array_equal(own, sequence.prediction[:n_said]):
                return sequence.prediction[n_said : n_said + most].tolist()
            found = _continuation(sequence.prediction, own, most)
            if found:
                return found
        return _continuation(known[:-1], known, most)


def _continuation(text: Int32Array, end: Int32Array, most: int) -> list[int]:
    """What follows where most of the last tokens of `end` stand in `text`: at the last such place
    that something follows."""
    if len(end) < _SHORTEST_MATCH or len(text) <= _SHORTEST_MATCH:
        return []
    follows = (text[:-2] == end[-2]) & (text[1:-1] == end[-1])
    places = np.flatnonzero(follows) + _SHORTEST_MATCH
    for length in range(_SHORTEST_MATCH + 1, min(_LONGEST_MATCH, len(end)) + 1):
        longer = places[places >= length]
        longer = longer[text[longer - length] == end[-length]]
        if not len(longer):
            break
        places = longer
    if not len(places):
        return []
    last = int(places[-1])
    return text[last : last + most].tolist()


class ModelDrafter:
    """A smaller model of the same vocabulary, which reads along in a context of its own.

    It uses the same slots as the engine. A long text is read over several steps, so that none of
    them becomes long; until then there are no guesses for it.
    """

    def __init__(self, runtime: Runtime) -> None:
        """`runtime`: with at least the engine's number of sequences; its memory can be cut."""
        self._runtime = runtime
        self._read: dict[int, Int32Array] = {}

    def draft(self, sequences: list[Sequence], most: int) -> list[list[int] | None]:
        """Greedy guesses, all sequences at a time."""
        texts = {sequence.slot: sequence.known for sequence in sequences}
        guesses: dict[int, list[int]] = {slot: [] for slot in texts}
        for _ in range(most):
            for slot, token in self._next_tokens(texts).items():
                guesses[slot].append(token)
            texts = {
                slot: np.append(texts[slot], np.int32(guess[-1]))
                for slot, guess in guesses.items()
                if guess
            }
            if not texts:
                break
        return [
            None if self._is_reading(sequence) else guesses[sequence.slot] for sequence in sequences
        ]

    def leave(self, slot: int) -> None:
        if self._read.pop(slot, None) is not None:
            self._runtime.remove(slot, -1, -1)

    def close(self) -> None:
        self._runtime.close()

    def _next_tokens(self, texts: dict[int, Int32Array]) -> dict[int, int]:
        """The most likely next token of every text that can be read to its end in one batch."""
        batch, at = self._runtime.batch, 0
        finished: list[int] = []
        reads: dict[int, Int32Array] = {}
        for slot, text in texts.items():
            start = self._rewind(slot, text)
            count = min(len(text) - start, self._runtime.batch_capacity - at)
            if not count:
                continue
            end = at + count
            batch.token[at:end] = text[start : start + count]
            batch.position[at:end] = np.arange(start, start + count)
            batch.sequence[at:end] = slot
            batch.output[at:end] = 0
            if start + count == len(text) and len(finished) < self._runtime.max_outputs:
                batch.output[end - 1] = 1
                finished.append(slot)
            reads[slot] = text[: start + count]
            at = end
        if not at:
            return {}
        if not self._runtime.decode(at):  # its cells are used up by texts that the engine shares
            for slot in list(self._read):
                self.leave(slot)
            return {}
        self._read |= reads
        if not finished:
            return {}
        best = self._runtime.logits(len(finished)).argmax(axis=1)
        return dict(zip(finished, best.tolist(), strict=True))

    def _is_reading(self, sequence: Sequence) -> bool:
        read = self._read.get(sequence.slot)
        return read is not None and len(read) < sequence.length

    def _rewind(self, slot: int, text: Int32Array) -> int:
        """Forget what was read and is not in `text`, and its last token: where to go on."""
        read = self._read.get(slot)
        if read is None:
            return 0
        kept = min(common_prefix(read, text), len(text) - 1)
        if kept < len(read):
            self._runtime.remove(slot, kept, -1)
            self._read[slot] = read[:kept]
        return kept
