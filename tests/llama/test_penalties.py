"""Our penalties against llama.cpp's own stage, number by number."""

import ctypes
from dataclasses import replace

import numpy as np
import pytest

from app.core.requests import SamplingParams
from app.llama.bindings import lib
from app.llama.penalties import Penalties

VOCABULARY = 1000
PARAMS = SamplingParams(repeat_penalty=1.3, frequency_penalty=0.4, presence_penalty=-0.7)


def reference(
    params: SamplingParams, window: int, history: list[int], row: np.ndarray
) -> np.ndarray:
    """The row after llama.cpp's penalties stage."""
    stage = lib.llama_sampler_init_penalties(
        VOCABULARY,
        window,
        params.repeat_penalty,
        params.frequency_penalty,
        params.presence_penalty,
    )
    for token in history:
        lib.llama_sampler_accept(stage, token)
    data = (lib.llama_token_data * VOCABULARY)(
        *(lib.llama_token_data(i, float(value), 0.0) for i, value in enumerate(row))
    )
    array = lib.llama_token_data_array(data, VOCABULARY, -1, False)
    lib.llama_sampler_apply(stage, ctypes.byref(array))
    lib.llama_sampler_free(stage)
    changed = row.copy()
    for item in data:
        changed[item.id] = item.logit
    return changed


@pytest.mark.parametrize("window", [1, 7, 64, 500])
@pytest.mark.parametrize(
    "params",
    [
        PARAMS,
        replace(PARAMS, repeat_penalty=1.0),
        replace(PARAMS, frequency_penalty=0.0, presence_penalty=0.0, repeat_penalty=0.8),
    ],
)
def test_the_same_logits_as_llama_cpp(params: SamplingParams, window: int) -> None:
    rng = np.random.default_rng(window)
    prompt = rng.integers(0, 40, 90).tolist()
    penalties = Penalties(params, window, prompt)
    history = list(prompt)
    for _ in range(30):
        row = rng.normal(size=VOCABULARY).astype(np.float32)
        expected = reference(params, window, history, row)
        penalties.apply(row)
        np.testing.assert_allclose(row, expected, rtol=1e-6, atol=1e-6)
        token = int(rng.integers(0, 40))
        penalties.accept(token)
        history.append(token)


def test_an_empty_history_changes_nothing() -> None:
    row = np.ones(10, np.float32)
    Penalties(PARAMS, 5, []).apply(row)
    assert (row == 1).all()
