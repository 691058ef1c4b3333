"""From the logits of a step to the tokens of its sequences."""

from collections.abc import Iterator
from dataclasses import dataclass

from app.core.errors import CorralError
from app.core.events import TokenLogprob
from app.engine.fairness import FairShare
from app.engine.messages import StopReason
from app.engine.outcome import Outcomes
from app.engine.placement import Placement
from app.engine.runtime import Float32Array
from app.engine.sampling import TokenChooser
from app.engine.sequence import Sequence
from app.engine.speculation.speculator import Speculator
from app.engine.step import Piece, Step
from app.engine.tally import Tally


@dataclass(frozen=True, slots=True)
class Ending:
    """A sequence has said all it will say, or cannot go on."""

    sequence: Sequence
    cause: StopReason | CorralError


@dataclass(frozen=True, slots=True)
class Harvest:
    chooser: TokenChooser
    placement: Placement
    shares: FairShare
    speculator: Speculator
    outcomes: Outcomes
    tally: Tally

    def take(self, step: Step, logits: Float32Array | None) -> Iterator[Ending]:
        """Choose a token for every sequence whose known tokens are all computed now; tells which
        of them end with it. `logits`: of shape (output rows of the step, vocabulary size)."""
        for piece in step.pieces:
            sequence = piece.sequence
            self.placement.cells.extend(sequence.slot, piece.n_tokens)
            completes = piece.completes
            if logits is not None and sequence.wants_prompt_logprobs:
                self._collect_prompt_logprobs(piece, logits)
                piece.first_logits += piece.count - 1  # the last row predicts the answer
                piece.first_row += piece.count - 1
            self._advance(sequence, piece.count)
            if logits is not None and completes:
                cause = self._choose(piece, logits)
                if cause is not None:
                    yield Ending(sequence, cause)

    def _advance(self, sequence: Sequence, count: int) -> None:
        n_prompt = len(sequence.spec.prompt)
        left = max(n_prompt - sequence.computed, 0)
        self.tally.prompt_tokens_computed += min(count, left)
        self.shares.charge(sequence.share, count)
        sequence.computed += count
        if sequence.computed in sequence.checkpoints:
            self.placement.keep(sequence)

    def _choose(self, piece: Piece, logits: Float32Array) -> StopReason | CorralError | None:
        """Take tokens from a piece's rows for as long as they confirm the guesses behind them; why
        the sequence ends, or None."""
        sequence, drafts = piece.sequence, piece.drafts
        cause: StopReason | CorralError | None = None
        accepted = 0
        try:
            for offset in range(len(drafts) + 1):
                row = logits[piece.first_logits + offset]
                token, logprob = self.chooser.choose(sequence, row, piece.first_row + offset)
                guess = drafts[offset] if offset < len(drafts) else None
                self.speculator.learn(sequence, token, guess)
                accepted += token == guess
                cause = self._accept(sequence, token, logprob)
                if cause is None and token != guess:
                    cause = self._force(sequence)
                if cause is not None or token != guess:
                    break
        except CorralError as error:  # a constraint that came to its limits: its sequence's own
            cause = error
        self._settle(sequence, len(drafts), accepted)
        return cause

    def _settle(self, sequence: Sequence, drafted: int, accepted: int) -> None:
        """Keep the cells of confirmed guesses, forget those of the others."""
        if not drafted:
            return
        sequence.computed += accepted
        sequence.accepted_guesses += accepted
        sequence.rejected_guesses += drafted - accepted
        self.tally.drafted_tokens += drafted
        self.tally.accepted_tokens += accepted
        if accepted < drafted:
            self.placement.cut(sequence, sequence.computed)

    def _accept(
        self, sequence: Sequence, token: int, logprob: TokenLogprob | None
    ) -> StopReason | None:
        self.tally.generated_tokens += 1
        self.shares.charge(sequence.share, 1)
        return self.outcomes.add_token(sequence, token, logprob)

    def _force(self, sequence: Sequence) -> StopReason | None:
        """Append what the grammar leaves no choice about: it is computed together with the token
        before it, without a step each. Log-probabilities would need the rows in between."""
        constraint = sequence.spec.constraint
        if constraint is None or sequence.spec.logprobs is not None:
            return None
        for token in constraint.forced():
            if sequence.sampler is not None:
                sequence.sampler.accept(token)
            reason = self._accept(sequence, token, None)
            if reason is not None:
                return reason
        return None

    def _collect_prompt_logprobs(self, piece: Piece, logits: Float32Array) -> None:
        """Row i of the piece predicts the token at the next position."""
        sequence, spec = piece.sequence, piece.sequence.spec
        known = len(sequence.prompt_logprobs)  # of tokens 1..known, from before it was parked
        first = max(sequence.computed, known)
        last = min(sequence.computed + piece.count, len(spec.prompt) - 1)
        if first < last:
            skip = piece.first_logits - sequence.computed
            sequence.prompt_logprobs += self.chooser.prompt_logprobs(
                list(spec.prompt[first + 1 : last + 1]),
                logits[first + skip : last + skip],
                spec.prompt_logprobs or 0,
            )
        if not sequence.wants_prompt_logprobs:
            self.outcomes.add_prompt_logprobs(sequence)
