"""Samplers against llama.cpp's chain over the whole vocabulary: kept tokens one by one, draws with
the same seed, and the distribution of draws."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from app.core.requests import SamplingParams
from app.llama.dry import DryStages
from app.llama.model import Model
from app.llama.sampler import ChainSampler
from app.llama.whole import first_stage
from tests.llama import reference

SIZE = 6000
OFF = SamplingParams(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, typical_p=1.0, seed=5)
Row = Callable[[int], np.ndarray]


def peaked(seed: int) -> np.ndarray:
    """As of a model that is rather sure: a few tokens hold nearly all of the mass."""
    rng = np.random.default_rng(seed)
    row = rng.normal(scale=2.0, size=SIZE)
    row[rng.choice(SIZE, 40, replace=False)] += np.linspace(4, 13, 40)
    return row.astype(np.float32)


def flat(seed: int) -> np.ndarray:
    """Thousands of tokens matter."""
    return np.random.default_rng(seed).normal(size=SIZE).astype(np.float32)


def masked(seed: int) -> np.ndarray:
    """As a constraint leaves it: most tokens are impossible."""
    row = flat(seed)
    row[np.random.default_rng(seed).random(SIZE) < 0.97] = -np.inf
    return row


ROWS = [peaked, flat, masked]


def make_sampler(params: SamplingParams, model: Model) -> ChainSampler:
    return ChainSampler(
        params,
        [],
        dry_stages=DryStages(model.vocabulary),
        vocabulary_size=SIZE,
        context_size=64,
    )


def draws(params: SamplingParams, row: np.ndarray, model: Model, count: int) -> np.ndarray:
    sampler = make_sampler(params, model)
    drawn = [sampler.sample(0, row.copy()) for _ in range(count)]
    sampler.close()
    return np.array(drawn)


def random_stage(seed: int) -> SamplingParams:
    """One truncating stage with a random parameter."""
    rng = np.random.default_rng(seed)
    name = str(rng.choice(["top_p", "min_p", "typical_p"]))
    return replace(OFF, **{name: round(float(rng.uniform(0.02, 0.98)), 3)})


@pytest.mark.parametrize("make_row", ROWS)
def test_the_first_stage_keeps_what_llama_cpp_keeps(make_row: Row) -> None:
    ways = set[bool]()
    for seed in range(60):
        params, row = random_stage(seed), make_row(seed)
        finite = np.flatnonzero(row > -np.inf)
        with reference.chain(params) as stages:
            # its typical-p takes 0 times minus infinity for a number
            ids, _, _ = reference.apply(stages, row[finite])
        expected = set(finite[ids].tolist())
        top = float(row.max())
        few = first_stage(row, top, params).few()
        ways.add(few is None)
        kept = first_stage(row, top, params)
        held = {token for token in range(SIZE) if row[token] > -np.inf and kept.holds(token)}
        for found in (held, set(kept.all().tolist()), held if few is None else set(few.tolist())):
            # its running sums are single-precision: they may end one or two tokens away
            assert len(found ^ expected) <= 2 * (len(expected) > 100), (params, seed)
    assert True in ways if make_row is flat else False in ways


@pytest.mark.parametrize(
    "params",
    [
        replace(OFF, top_p=0.9),
        replace(OFF, top_p=0.8, min_p=0.05, temperature=1.4),
        replace(OFF, min_p=0.1, temperature=0.6),
        replace(OFF, typical_p=0.7),
        replace(OFF, typical_p=0.9, top_p=0.8, min_p=0.02),
        replace(OFF, top_k=40, top_p=0.95, min_p=0.05, temperature=0.8),
        replace(OFF, top_k=2500, top_p=0.9, temperature=2.0),
        replace(OFF, top_k=30, typical_p=0.8, xtc_probability=0.5, xtc_threshold=0.05),
    ],
)
def test_the_same_seed_draws_the_same_tokens_where_few_count(
    params: SamplingParams, random_model: Model
) -> None:
    row = peaked(3)
    assert params.seed is not None
    with reference.chain(params, seed=params.seed) as stages:
        expected: list[int] = []
        for _ in range(100):
            ids, _, selected = reference.apply(stages, row)
            expected.append(int(ids[selected]))
    drawn = draws(params, row, random_model, 100).tolist()
    assert drawn == expected
    assert len(set(drawn)) > 3


MANY = [
    replace(OFF, temperature=0.8),
    replace(OFF, temperature=1.7),
    replace(OFF, top_p=0.9),
    replace(OFF, top_p=0.5, temperature=0.7),
    replace(OFF, top_p=0.3, temperature=2.5),
    replace(OFF, top_p=0.9, min_p=0.2, temperature=1.3),
    replace(OFF, min_p=0.15),
    replace(OFF, min_p=0.1, temperature=3.0),
    replace(OFF, typical_p=0.6),
    replace(OFF, typical_p=0.8, top_p=0.7, temperature=1.2),
    replace(OFF, typical_p=0.9, min_p=0.05),
    replace(OFF, xtc_probability=0.6, xtc_threshold=0.0005),
    replace(OFF, xtc_probability=0.5, xtc_threshold=0.02, min_p=0.05, temperature=0.8),
    replace(OFF, xtc_probability=0.5, xtc_threshold=0.02, top_p=0.7, temperature=1.2),
    replace(OFF, top_k=500, top_p=0.8, min_p=0.05, temperature=0.8),
]
DRAWS = 3000


def surprise(drawn: np.ndarray, expected: np.ndarray) -> float:
    """Chi-square of the draws under `expected`, in standard deviations from its mean. Tokens are
    grouped from the least likely on, so that 30 draws or more are expected of each group."""
    if (expected[drawn] == 0).any():
        return np.inf
    tokens = np.argsort(expected)[np.count_nonzero(expected == 0) :]
    before = np.cumsum(expected[tokens]) - expected[tokens]
    groups = np.minimum(np.floor(before * DRAWS / 30), DRAWS // 30 - 1)
    group = np.zeros(len(expected), int)
    group[tokens] = np.unique(groups, return_inverse=True)[1]
    means = DRAWS * np.bincount(group, weights=expected)
    counts = np.bincount(group[drawn], minlength=len(means))
    freedom = max(1, len(means) - 1)
    return (float(((counts - means) ** 2 / means).sum()) - freedom) / np.sqrt(2 * freedom)


@pytest.mark.parametrize("make_row", ROWS)
@pytest.mark.parametrize("params", MANY)
def test_draws_have_llama_cpp_s_distribution(
    params: SamplingParams, make_row: Row, random_model: Model
) -> None:
    row = make_row(11)
    finite = np.flatnonzero(row > -np.inf)
    drawn = draws(params, row, random_model, DRAWS)

    def expected(without: str = "") -> np.ndarray:
        spread = np.zeros(SIZE)
        spread[finite] = reference.probabilities(params, row[finite], without)
        return spread

    truth = expected()
    assert surprise(drawn, truth) < 4
    refuted = 0
    for stage in reference.STAGES:
        other = expected(without=stage)
        # the negative control: without a stage that matters, the same draws are refuted
        if 0.5 * np.abs(other - truth).sum() > 0.08:
            assert surprise(drawn, other) > 6, stage
            refuted += 1
    assert refuted or make_row is not flat
