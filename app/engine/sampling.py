"""Choosing the next token of each sequence from a row of logits."""

import numpy as np

from app.core.events import LEAST_LOGPROB, TokenCandidate, TokenLogprob
from app.core.requests import SamplingParams
from app.engine.messages import SequenceSpec
from app.engine.runtime import Float32Array, Runtime, Sampler, Vocabulary
from app.engine.sequence import Sequence
from app.llama.rows import Fold, Weights


def needs_sampler(params: SamplingParams) -> bool:
    """Whether llama.cpp's chain is needed; without it the choice is a plain argmax."""
    return (
        params.temperature > 0
        or params.repeat_penalty != 1.0
        or params.presence_penalty != 0.0
        or params.frequency_penalty != 0.0
        or params.dry_multiplier > 0
    )


def make_sampler(
    runtime: Runtime, spec: SequenceSpec, *, has_guesses: bool = False
) -> Sampler | None:
    """The sampler of a new sequence; None where the choice is a plain argmax. `has_guesses`: it may
    have several rows in a step, and the compute graph chooses for one."""
    reads_logits = has_guesses or _reads_logits(spec)
    sampler = None if reads_logits else runtime.make_graph_sampler(spec.sampling)
    if sampler is None and needs_sampler(spec.sampling):
        sampler = runtime.make_sampler(spec.sampling, spec.prompt)
    return sampler


def _reads_logits(spec: SequenceSpec) -> bool:
    """Whether the engine itself looks at a sequence's logits or changes them."""
    return bool(
        spec.constraint is not None
        or spec.logprobs is not None
        or spec.prompt_logprobs is not None
        or spec.sampling.logit_bias
        or spec.thought is not None
        or spec.min_tokens
        or spec.ignore_eos
    )


class TokenChooser:
    """Stateless apart from the vocabulary: all state lives in the sequences."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._end_tokens = np.fromiter(sorted(vocabulary.end_tokens), np.int64)

    def choose(
        self, sequence: Sequence, row: Float32Array, batch_row: int
    ) -> tuple[int, TokenLogprob | None]:
        """The next token, and its log-probability where the sequence asks for it.

        `row` of shape (vocabulary size,), computed for row `batch_row` of the batch, is llama.cpp's
        own buffer and is changed in place. Log-probabilities are the model's own, before any of
        that. Rows of one sequence must come in order, each after the choice before it was accepted.
        """
        alternatives = sequence.spec.logprobs
        raw = None if alternatives is None else row.copy()
        self._bias(sequence, row)
        token = self._pick(sequence, row, batch_row)
        if raw is None or alternatives is None:
            return token, None
        return token, self._logprob(token, raw, alternatives)

    def prompt_logprobs(
        self, tokens: list[int], rows: Float32Array, alternatives: int
    ) -> list[TokenLogprob]:
        """Log-probability of each of `tokens` under the row of the token before it."""
        return [
            self._logprob(token, row, alternatives) for token, row in zip(tokens, rows, strict=True)
        ]

    def _pick(self, sequence: Sequence, row: Float32Array, batch_row: int) -> int:
        constraint = sequence.spec.constraint
        due = None if sequence.thought is None else sequence.thought.due
        if due is not None:
            if sequence.sampler is not None:
                sequence.sampler.accept(due)
            return due
        if sequence.sampler is not None:
            return sequence.sampler.sample(batch_row, row, constraint)
        token = int(row.argmax())
        if constraint is not None and not constraint.allows(token):
            # checking one token is a thousand times cheaper than computing the mask
            constraint.mask(row)
            token = int(row.argmax())
        return token

    def _bias(self, sequence: Sequence, row: Float32Array) -> None:
        spec = sequence.spec
        if len(sequence.bias_tokens):
            row[sequence.bias_tokens] += sequence.bias_values
        must_go_on = sequence.generated < spec.min_tokens
        if must_go_on or spec.ignore_eos:
            row[self._end_tokens] = -np.inf
        if must_go_on and spec.stop_tokens:
            row[list(spec.stop_tokens)] = -np.inf

    def _logprob(self, token: int, row: Float32Array, alternatives: int) -> TokenLogprob:
        fold = Fold(row)
        normaliser = Weights(row, fold.top).log_total
        best: list[int] = []
        if alternatives:
            ids = fold.largest(alternatives)
            best = ids[np.argsort(-row[ids])][:alternatives].tolist()
        return TokenLogprob(
            self._candidate(token, row, normaliser),
            tuple(self._candidate(other, row, normaliser) for other in best),
        )

    def _candidate(self, token: int, row: Float32Array, normaliser: float) -> TokenCandidate:
        logprob = max(float(row[token]) - normaliser, LEAST_LOGPROB)
        return TokenCandidate(token, self._vocabulary.piece(token, special=True), logprob)
