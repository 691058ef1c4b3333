"""llama.cpp's sampler stages, in llama.cpp's standard order: top-k, typical-p, top-p, min-p, XTC,
temperature, the draw. What comes before them, penalties and DRY, changes the row itself."""

import secrets
from collections.abc import Callable, Iterable
from typing import Any

from app.core.requests import SamplingParams
from app.llama.bindings import lib

_SEEDS = 0xFFFFFFFF  # llama.cpp takes this number itself for "any"

_MIROSTAT_M = 100  # tokens in mirostat 1's estimate of s; the paper's and llama.cpp's value

_TRUNCATIONS: dict[str, Callable[[SamplingParams], Any]] = {
    "top_k": lambda params: lib.llama_sampler_init_top_k(params.top_k),
    "typical_p": lambda params: lib.llama_sampler_init_typical(params.typical_p, 1),
    "top_p": lambda params: lib.llama_sampler_init_top_p(params.top_p, 1),
    "min_p": lambda params: lib.llama_sampler_init_min_p(params.min_p, 1),
}


def truncations(params: SamplingParams) -> list[str]:
    """The truncating stages that do something, in their order."""
    active = {
        "top_k": params.top_k > 0,
        "typical_p": params.typical_p < 1,
        "top_p": params.top_p < 1,
        "min_p": params.min_p > 0,
    }
    return [name for name in _TRUNCATIONS if active[name]]


def draw_seed(params: SamplingParams) -> int:
    """The seed of a sequence's random numbers; a fresh one where none was given."""
    return (secrets.randbits(32) if params.seed is None else params.seed) % _SEEDS


def has_xtc(params: SamplingParams) -> bool:
    """llama.cpp's stage does nothing above a threshold of one half."""
    return params.xtc_probability > 0 and params.xtc_threshold <= 0.5


def make_chain(
    params: SamplingParams, seed: int, truncating: Iterable[str], *, xtc_probability: float = 0.0
) -> Any:
    """The stages named in `truncating`, XTC, temperature and the draw."""
    stages = [_TRUNCATIONS[name](params) for name in truncating]
    if xtc_probability > 0:
        stages.append(lib.llama_sampler_init_xtc(xtc_probability, params.xtc_threshold, 1, seed))
    stages.append(lib.llama_sampler_init_temp(params.temperature))
    stages.append(lib.llama_sampler_init_dist(seed))
    return _chain(stages)


def make_greedy_chain() -> Any:
    """The most likely token."""
    return _chain([lib.llama_sampler_init_greedy()])


def make_mirostat_chain(params: SamplingParams, seed: int, vocabulary_size: int) -> Any:
    """Temperature and mirostat 1 or 2, which draws by itself."""
    tau, eta = params.mirostat_tau, params.mirostat_eta
    mirostat = (
        lib.llama_sampler_init_mirostat(vocabulary_size, seed, tau, eta, _MIROSTAT_M)
        if params.mirostat == 1
        else lib.llama_sampler_init_mirostat_v2(seed, tau, eta)
    )
    return _chain([lib.llama_sampler_init_temp(params.temperature), mirostat])


def _chain(stages: Iterable[Any]) -> Any:
    chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
    for stage in stages:
        lib.llama_sampler_chain_add(chain, stage)
    return chain
