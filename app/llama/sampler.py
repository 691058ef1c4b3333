"""Choosing tokens for one sequence as llama.cpp's chain does, in llama.cpp's standard order."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from app.core.requests import SamplingParams
from app.llama.bindings import lib
from app.llama.candidates import CandidateArray
from app.llama.dry import Dry, DryStages
from app.llama.penalties import Penalties, has_penalties
from app.llama.rows import Float32Array, Fold
from app.llama.stages import draw_seed, has_xtc, make_chain, make_mirostat_chain, truncations
from app.llama.whole import WholeRowSampler


class _Choice(Protocol):
    """What comes after penalties and DRY."""

    def draw(self, row: Float32Array) -> int:
        """A token of `row`."""
        ...

    def close(self) -> None: ...


class _Permit(Protocol):
    def allows(self, token: int) -> bool: ...

    def mask(self, logits: Float32Array) -> None: ...


class ChainSampler:
    """Penalties, DRY, truncation, temperature and the random draw, with their state.

    Works on the row it is given and changes it. Logit bias is not done here: the engine adds it.
    """

    def __init__(
        self,
        params: SamplingParams,
        prompt: Sequence[int],
        *,
        dry_stages: DryStages,
        vocabulary_size: int,
        context_size: int,
    ) -> None:
        window = _window(params.repeat_last_n, context_size) * has_penalties(params)
        self._penalties = Penalties(params, window, prompt) if window else None
        window = _window(params.dry_penalty_last_n, context_size) * (params.dry_multiplier > 0)
        self._dry = Dry(dry_stages.make(params, window), window, prompt) if window else None
        self._choice = _make_choice(params, vocabulary_size)

    def sample(self, _row: int, logits: Float32Array, permit: _Permit | None = None) -> int:
        """Draw from `logits` and remember the token; the batch row does not matter.

        A token that is forbidden is drawn again from those that are not: most often the first
        one may stand, and looking at one token is a thousand times cheaper than at all.
        """
        if self._penalties is not None:
            self._penalties.apply(logits)
        if self._dry is not None:
            self._dry.apply(logits)
        token = self._choice.draw(logits)
        if permit is not None and not permit.allows(token):
            permit.mask(logits)
            token = self._choice.draw(logits)
        self.accept(token)
        return token

    def accept(self, token: int) -> None:
        """Remember a token that was not chosen here."""
        if self._penalties is not None:
            self._penalties.accept(token)
        if self._dry is not None:
            self._dry.accept(token)

    def close(self) -> None:
        """Free what llama.cpp holds; idempotent."""
        if self._dry is not None:
            self._dry.close()
        self._choice.close()


class _Greedy:
    def draw(self, row: Float32Array) -> int:
        return int(row.argmax())

    def close(self) -> None:
        pass


class _ChainChoice:
    """A chain over the `count` most likely tokens, or over all that are not masked."""

    def __init__(self, chain: Any, count: int | None) -> None:
        self._chain, self._count = chain, count
        self._candidates = CandidateArray()

    def draw(self, row: Float32Array) -> int:
        if self._count is None:
            ids = np.flatnonzero(row > -np.inf)
        else:
            ids = Fold(row).largest(self._count)
        if not len(ids):  # all are masked: llama.cpp would abort the process
            return int(row.argmax())
        return self._candidates.choose(self._chain, ids, row)

    def close(self) -> None:
        if self._chain:
            lib.llama_sampler_free(self._chain)
            self._chain = None


def _make_choice(params: SamplingParams, vocabulary_size: int) -> _Choice:
    if params.temperature <= 0:
        return _Greedy()
    seed = draw_seed(params)
    if params.mirostat:
        return _ChainChoice(make_mirostat_chain(params, seed, vocabulary_size), None)
    if params.top_k > 0:
        xtc = params.xtc_probability if has_xtc(params) else 0.0
        chain = make_chain(params, seed, truncations(params), xtc_probability=xtc)
        return _ChainChoice(chain, params.top_k)
    return WholeRowSampler(params, seed)


def _window(last_n: int, context_size: int) -> int:
    """llama.cpp takes no -1 for "the whole context": it would switch the stage off. And it makes
    buffers as large as it is told, however little there is to remember."""
    return context_size if last_n < 0 else min(last_n, context_size)
