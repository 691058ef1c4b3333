"""One batch: whose tokens are computed in it, and which rows they take."""

from dataclasses import dataclass, field

import numpy as np

from app.core.adapters import NO_ADAPTERS, AdapterSet
from app.engine.runtime import Batch
from app.engine.sequence import Sequence


@dataclass(slots=True)
class Piece:
    """The next `count` known tokens of a sequence, then guesses at what follows them.

    `first_row` and `first_logits`: batch row and logits row of the first of its `n_outputs` rows
    that ask for logits; they adjoin.
    """

    sequence: Sequence
    count: int
    drafts: list[int] = field(default_factory=list[int])
    first_row: int = 0
    first_logits: int = 0

    @property
    def n_tokens(self) -> int:
        return self.count + len(self.drafts)

    @property
    def completes(self) -> bool:
        """All known tokens are computed after it: a token can be chosen."""
        return self.count == self.sequence.remaining

    @property
    def n_outputs(self) -> int:
        if self.sequence.wants_prompt_logprobs:
            return self.count
        return 1 + len(self.drafts) if self.completes else 0


@dataclass(slots=True)
class Step:
    """Pieces of prompts, and the few tokens of each decoding sequence; all of sequences under the
    same `adapters`. `ends_turn`: then it is the turn of those under others. `n_prefill` and
    `n_decode`: their tokens, guesses included. `is_by_slot`: rows are in the order of slots, with
    one of no meaning for each of the empty slots `fillers`."""

    adapters: AdapterSet = NO_ADAPTERS
    ends_turn: bool = True
    prefill: list[Piece] = field(default_factory=list[Piece])
    decode: list[Piece] = field(default_factory=list[Piece])
    n_prefill: int = 0
    n_decode: int = 0
    is_by_slot: bool = False
    fillers: list[int] = field(default_factory=list[int])

    def add_prefill(self, piece: Piece) -> None:
        self.prefill.append(piece)
        self.n_prefill += piece.count

    def add_decode(self, piece: Piece) -> None:
        self.decode.append(piece)
        self.n_decode += piece.count

    def add_guesses(self, piece: Piece, guesses: list[int]) -> None:
        """To a piece of `decode` that has none."""
        piece.drafts = guesses
        self.n_decode += len(guesses)

    @property
    def pieces(self) -> list[Piece]:
        """Where order is free, prompts come first, so that whole micro-batches hold nothing else:
        attention is computed in tiles of rows, and a tile looks at every cell that one of its rows
        may see."""
        pieces = [*self.prefill, *self.decode]
        return sorted(pieces, key=_slot) if self.is_by_slot else pieces

    @property
    def n_tokens(self) -> int:
        return self.n_prefill + self.n_decode

    @property
    def n_rows(self) -> int:
        return self.n_tokens + len(self.fillers)

    @property
    def n_outputs(self) -> int:
        return sum(piece.n_outputs for piece in self.pieces)

    def fill(self, batch: Batch) -> int:
        """Write the pieces into the batch's first rows; returns how many rows ask for logits."""
        at = outputs = filled = 0
        for piece in self.pieces:
            while filled < len(self.fillers) and self.fillers[filled] < piece.sequence.slot:
                batch.token[at] = batch.position[at] = batch.output[at] = 0
                batch.sequence[at] = self.fillers[filled]
                filled += 1
                at += 1
            sequence, start = piece.sequence, piece.sequence.computed
            n_tokens, n_outputs = piece.n_tokens, piece.n_outputs
            end = at + n_tokens
            if n_tokens == 1:  # the usual case: scalars are several times faster than slices
                batch.token[at] = sequence.tokens[start]
                batch.position[at] = start
                batch.sequence[at] = sequence.slot
                batch.output[at] = n_outputs
            else:
                batch.token[at : at + piece.count] = sequence.tokens[start : start + piece.count]
                batch.token[at + piece.count : end] = piece.drafts
                batch.position[at:end] = np.arange(start, start + n_tokens)
                batch.sequence[at:end] = sequence.slot
                batch.output[at : end - n_outputs] = 0
                batch.output[end - n_outputs : end] = 1
            piece.first_row, piece.first_logits = end - n_outputs, outputs
            outputs += n_outputs
            at = end
        return outputs


def _slot(piece: Piece) -> int:
    return piece.sequence.slot
