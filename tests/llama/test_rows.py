"""Arithmetic on rows against plain sorts and sums in double precision."""

from collections.abc import Iterator

import numpy as np
import pytest

from app.llama.rows import Fold, Weights


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
        found = Fold(row).largest(k)
        assert len(set(found.tolist())) == len(found)
        possible = int(np.isfinite(row).sum())
        assert len(found) >= min(k, possible)
        left_out = np.setdiff1d(np.arange(len(row)), found)
        if len(left_out):
            assert row[found].min() >= row[left_out].max()


def test_a_bound_finds_all_that_reach_it() -> None:
    for row in rows():
        bound = float(np.quantile(row[row > -np.inf], 0.97))
        found = Fold(row).reaching(bound)
        assert sorted(found.tolist()) == np.flatnonzero(row >= bound).tolist()


@pytest.mark.parametrize("temperature", [0.05, 0.8, 1.0, 3.0])
@pytest.mark.parametrize("shift", [0.0, 300.0, -300.0])
def test_weights_are_the_softmax(temperature: float, shift: float) -> None:
    for unshifted in rows():
        row = unshifted + np.float32(shift)
        top = Fold(row).top
        assert top == row.max()
        exact = np.exp((row.astype(np.float64) - top) / temperature)
        weights = Weights(row, top, temperature)
        np.testing.assert_allclose(
            weights.values / weights.total, exact / exact.sum(), rtol=2e-3, atol=1e-12
        )
        expected = np.log(exact.sum()) + top / temperature
        assert weights.log_total == pytest.approx(expected, abs=1e-4 * max(1, abs(expected)))
        assert weights.largest == pytest.approx(float(weights.values.max()), rel=1e-3)


def test_a_share_of_the_mass_finds_its_token() -> None:
    for row in rows():
        weights = Weights(row, float(row.max()))
        running = np.cumsum(weights.values, dtype=np.float64)
        for share in (1e-12, 0.1, 0.37, 0.5, 0.9, 1.0):
            token = weights.find(share)
            assert weights.values[token] > 0
            before = running[token] - weights.values[token]
            slack = 1e-6 * running[-1]
            assert before - slack <= share * running[-1] <= running[token] + slack
