"""Preselection against a full sort, and against llama.cpp's own first stage."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from app.core.requests import SamplingParams
from app.llama.candidates import top_candidates
from app.llama.context import LlamaRuntime
from app.llama.model import Model
from tests.llama.conftest import make_runtime


def rows() -> Iterator[np.ndarray]:
    rng = np.random.default_rng(3)
    for size in (300, 3072, 150_001):
        yield rng.normal(size=size).astype(np.float32)
        yield np.sort(rng.normal(size=size)).astype(np.float32)
        yield rng.integers(0, 5, size=size).astype(np.float32)  # ties everywhere
        masked = np.full(size, -np.inf, np.float32)
        masked[rng.choice(size, 10, replace=False)] = 1.0
        yield masked


@pytest.mark.parametrize("k", [1, 20, 40, 512])
def test_no_token_of_the_k_largest_is_missing(k: int) -> None:
    for row in rows():
        found = top_candidates(row, k)
        assert len(set(found.tolist())) == len(found)
        possible = int(np.isfinite(row).sum())
        assert len(found) >= min(k, possible)
        left_out = np.setdiff1d(np.arange(len(row)), found)
        if len(left_out):
            assert row[found].min() >= row[left_out].max()


@pytest.fixture
def runtime(wide_model: Model) -> Iterator[LlamaRuntime]:
    made = make_runtime(wide_model, kv_size=256, max_sequences=2)
    yield made
    made.close()


PARAMS = SamplingParams(temperature=1.3, top_k=40, top_p=0.95, min_p=0.01, seed=11)


@pytest.mark.parametrize(
    "params",
    [
        PARAMS,
        replace(PARAMS, top_k=400, top_p=1.0, min_p=0.0),
        replace(PARAMS, typical_p=0.7),
        replace(PARAMS, xtc_probability=0.7, xtc_threshold=0.02),
    ],
)
def test_draws_equal_those_over_the_whole_vocabulary(
    runtime: LlamaRuntime, params: SamplingParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same seed, same chain: the tokens must be the same, draw after draw."""
    runtime.batch.token[0], runtime.batch.output[0] = 5, 1
    assert runtime.decode(1)
    row = runtime.logits(1)[0]
    row *= 4  # peaked, as real models are
    quick = runtime.make_sampler(params, [5])
    drawn = [quick.sample(0, row) for _ in range(200)]
    monkeypatch.setattr("app.llama.sampler._MOST_CANDIDATES", 0)
    whole = runtime.make_sampler(params, [5])
    assert drawn == [whole.sample(0, row) for _ in range(200)]
    assert len(set(drawn)) > 3
    quick.close()
    whole.close()
