"""llama.cpp's own chain over the whole vocabulary, stage after stage: what samplers must equal."""

import ctypes
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from app.core.requests import SamplingParams
from app.llama.bindings import lib

STAGES = ("top_k", "typical_p", "top_p", "min_p", "xtc", "temperature")


@contextmanager
def chain(params: SamplingParams, without: str = "", seed: int | None = None) -> Generator[Any]:
    """A chain of all active stages but one; it ends with a draw where a seed is given."""
    made = {
        "top_k": lib.llama_sampler_init_top_k(params.top_k),
        "typical_p": lib.llama_sampler_init_typical(params.typical_p, 1),
        "top_p": lib.llama_sampler_init_top_p(params.top_p, 1),
        "min_p": lib.llama_sampler_init_min_p(params.min_p, 1),
        "xtc": lib.llama_sampler_init_xtc(
            params.xtc_probability, params.xtc_threshold, 1, seed or 0
        ),
        "temperature": lib.llama_sampler_init_temp(params.temperature),
    }
    whole = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
    for name in STAGES:
        if name != without:
            lib.llama_sampler_chain_add(whole, made[name])
        else:
            lib.llama_sampler_free(made[name])
    if seed is not None:
        lib.llama_sampler_chain_add(whole, lib.llama_sampler_init_dist(seed))
    try:
        yield whole
    finally:
        lib.llama_sampler_free(whole)


def apply(stages: Any, row: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """The ids left, their logits, and the index of the token that was drawn (-1: none)."""
    items = np.zeros(len(row), [("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])
    items["id"], items["logit"] = np.arange(len(row)), row
    data = ctypes.cast(items.ctypes.data, lib.llama_token_data_p)
    array = lib.llama_token_data_array(data, len(row), -1, False)
    lib.llama_sampler_apply(stages, ctypes.byref(array))
    first: int = ctypes.addressof(array.data.contents)
    start = first - items.ctypes.data
    left = items[start // items.itemsize :][: array.size]
    return left["id"].copy(), left["logit"].copy(), array.selected


def probabilities(params: SamplingParams, row: np.ndarray, without: str = "") -> np.ndarray:
    """Probability of every token, shape of the row. With XTC, the mean of it striking or not."""
    result = np.zeros(len(row))
    strikes = params.xtc_probability if without != "xtc" else 0.0
    for probability, share in ((0.0, 1 - strikes), (1.0, strikes)):
        if share:
            with chain(replace(params, xtc_probability=probability), without) as stages:
                ids, logits, _ = apply(stages, row)
            weights = np.exp(logits.astype(np.float64) - logits.max())
            result[ids] += share * weights / weights.sum()
    return result
