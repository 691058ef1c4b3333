"""llama.cpp's sampler chain for one sequence, in llama.cpp's standard order."""

import secrets
from collections.abc import Sequence
from typing import Any

from app.core.requests import SamplingParams
from app.llama.bindings import Float32Array, lib
from app.llama.candidates import CandidateArray, top_candidates
from app.llama.dry import DryStages
from app.llama.penalties import Penalties

# beyond this the search for candidates costs as much as llama.cpp's own stage
_MOST_CANDIDATES = 512
_MIROSTAT_M = 100  # tokens in mirostat 1's estimate of s; the paper's and llama.cpp's value


class ChainSampler:
    """Penalties, truncation, temperature and the random draw, with their state.

    Penalties are applied before the chain, to the tokens seen only. Logit bias is not done here:
    the engine adds it to the logits row.
    """

    def __init__(
        self,
        context: Any,
        params: SamplingParams,
        prompt: Sequence[int],
        *,
        dry_stages: DryStages,
        vocabulary_size: int,
        context_size: int,
    ) -> None:
        self._context = context
        self._chain: Any = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        penalty_window = _window(params.repeat_last_n, context_size) * _has_penalties(params)
        self._penalties = Penalties(params, penalty_window, prompt) if penalty_window else None
        dry_window = _window(params.dry_penalty_last_n, context_size) * (params.dry_multiplier > 0)
        if dry_window:
            lib.llama_sampler_chain_add(self._chain, dry_stages.make(params, dry_window))
        for stage in _stages(vocabulary_size, params):
            lib.llama_sampler_chain_add(self._chain, stage)
        for token in prompt[-dry_window:] if dry_window else ():
            lib.llama_sampler_accept(self._chain, token)
        # DRY comes before top-k in the chain and must see every token
        self._few = 0 if dry_window else _few_candidates(params)
        self._candidates = CandidateArray()

    def sample(self, row: int, logits: Float32Array) -> int:
        """Draw from batch row `row`, whose logits are `logits`, and remember the token."""
        if self._penalties is not None:
            self._penalties.apply(logits)
        token = self._draw(row, logits)
        if self._penalties is not None:
            self._penalties.accept(token)
        return token

    def _draw(self, row: int, logits: Float32Array) -> int:
        if not self._few:
            return lib.llama_sampler_sample(self._chain, self._context, row)
        ids = top_candidates(logits, self._few)
        token = self._candidates.choose(self._chain, ids, logits)
        lib.llama_sampler_accept(self._chain, token)
        return token

    def close(self) -> None:
        """Free the chain; idempotent."""
        if self._chain:
            lib.llama_sampler_free(self._chain)
            self._chain = None


def _window(last_n: int, context_size: int) -> int:
    """llama.cpp takes no -1 for "the whole context": it would switch the stage off. And it makes
    buffers as large as it is told, however little there is to remember."""
    return context_size if last_n < 0 else min(last_n, context_size)


def _few_candidates(params: SamplingParams) -> int:
    """How many of the most likely tokens decide everything; 0 when all of them count."""
    if params.temperature <= 0:
        return 1
    return 0 if params.mirostat or params.top_k > _MOST_CANDIDATES else params.top_k


def _has_penalties(params: SamplingParams) -> bool:
    return (
        params.repeat_penalty != 1.0
        or params.presence_penalty != 0.0
        or params.frequency_penalty != 0.0
    )


def _stages(vocabulary_size: int, params: SamplingParams) -> list[Any]:
    """What follows DRY, up to the choice."""
    if params.temperature <= 0:
        return [lib.llama_sampler_init_greedy()]
    seed = secrets.randbits(32) if params.seed is None else params.seed & 0xFFFFFFFF
    if params.mirostat:
        return _mirostat_stages(vocabulary_size, params, seed)
    return _truncation_stages(params, seed)


def _truncation_stages(params: SamplingParams, seed: int) -> list[Any]:
    stages: list[Any] = []
    if params.top_k > 0:
        stages.append(lib.llama_sampler_init_top_k(params.top_k))
    if params.typical_p < 1:
        stages.append(lib.llama_sampler_init_typical(params.typical_p, 1))
    if params.top_p < 1:
        stages.append(lib.llama_sampler_init_top_p(params.top_p, 1))
    if params.min_p > 0:
        stages.append(lib.llama_sampler_init_min_p(params.min_p, 1))
    if params.xtc_probability > 0:
        stages.append(
            lib.llama_sampler_init_xtc(params.xtc_probability, params.xtc_threshold, 1, seed)
        )
    stages.append(lib.llama_sampler_init_temp(params.temperature))
    stages.append(lib.llama_sampler_init_dist(seed))
    return stages


def _mirostat_stages(n_vocab: int, params: SamplingParams, seed: int) -> list[Any]:
    temperature = lib.llama_sampler_init_temp(params.temperature)
    if params.mirostat == 1:
        return [
            temperature,
            lib.llama_sampler_init_mirostat(
                n_vocab, seed, params.mirostat_tau, params.mirostat_eta, _MIROSTAT_M
            ),
        ]
    return [
        temperature,
        lib.llama_sampler_init_mirostat_v2(seed, params.mirostat_tau, params.mirostat_eta),
    ]
