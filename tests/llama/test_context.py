"""What the engine relies on in llama.cpp: batches, sequences, rows of logits, samplers."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from app.core.requests import SamplingParams
from app.llama.context import LlamaRuntime
from app.llama.model import Model
from tests.llama.conftest import make_runtime

# batch shape alone moves logits by up to 0.1 (other kernels); content moves them by whole units
TOLERANCE = 0.25


@pytest.fixture
def runtime(random_model: Model) -> Iterator[LlamaRuntime]:
    made = make_runtime(random_model)
    yield made
    made.close()


def run(runtime: LlamaRuntime, rows: list[tuple[int, int, int, bool]]) -> np.ndarray:
    """Decode (token, position, sequence, wants logits) rows; a copy of the logits."""
    for index, (token, position, sequence, wants) in enumerate(rows):
        runtime.batch.token[index] = token
        runtime.batch.position[index] = position
        runtime.batch.sequence[index] = sequence
        runtime.batch.output[index] = wants
    assert runtime.decode(len(rows))
    return runtime.logits(sum(row[3] for row in rows)).copy()


def prompt(sequence: int, tokens: list[int]) -> list[tuple[int, int, int, bool]]:
    last = len(tokens) - 1
    return [(token, i, sequence, i == last) for i, token in enumerate(tokens)]


A, B = [10, 11, 12, 13, 14, 15], [30, 31, 32]


def test_sequences_in_one_batch_do_not_see_each_other(runtime: LlamaRuntime) -> None:
    alone = run(runtime, prompt(0, A))[0]
    runtime.remove(0, -1, -1)
    together = run(runtime, [*prompt(0, B), *prompt(1, A)])
    assert np.abs(together[1] - alone).max() < TOLERANCE
    assert np.abs(together[0] - alone).max() > 2 * TOLERANCE, "negative control"


def test_a_prompt_in_pieces_is_the_same_prompt(runtime: LlamaRuntime) -> None:
    whole = run(runtime, prompt(0, A))[0]
    runtime.remove(0, -1, -1)
    rows = prompt(0, A)
    for start in (0, 2, 5):
        end = {0: 2, 2: 5, 5: 6}[start]
        pieces = rows[start:end]
        logits = run(runtime, [(*row[:3], row is pieces[-1]) for row in pieces])
    assert np.abs(logits[0] - whole).max() < TOLERANCE


def test_removing_a_sequence_forgets_it(runtime: LlamaRuntime) -> None:
    first = run(runtime, prompt(0, A))[0]
    runtime.remove(0, -1, -1)
    again = run(runtime, prompt(0, A))[0]
    assert np.abs(first - again).max() < 1e-3


def test_a_full_cache_says_so_and_changes_nothing(random_model: Model) -> None:
    runtime = make_runtime(random_model, kv_size=256, max_sequences=2)
    try:
        for start in range(0, 256, 128):
            for i in range(128):
                runtime.batch.token[i] = 5
                runtime.batch.position[i] = start + i
            runtime.batch.sequence[:128] = 0
            runtime.batch.output[:128] = 0
            assert runtime.decode(128)
        runtime.batch.sequence[0] = 1
        runtime.batch.position[0] = 0
        assert not runtime.decode(1)
        runtime.remove(0, -1, -1)
        assert runtime.decode(1)
    finally:
        runtime.close()


def draw(runtime: LlamaRuntime, params: SamplingParams, count: int) -> list[int]:
    """Draw again and again from the same logits, which each draw may change."""
    row = runtime.logits(1)[0]
    untouched = row.copy()
    sampler = runtime.make_sampler(params, A)
    drawn: list[int] = []
    for _ in range(count):
        drawn.append(sampler.sample(len(A) - 1, row))
        row[:] = untouched
    sampler.close()
    return drawn


HOT = SamplingParams(temperature=1.5, top_k=0, top_p=1, min_p=0, seed=7)


@pytest.mark.parametrize(
    "params",
    [
        HOT,
        replace(HOT, top_k=20, top_p=0.9, min_p=0.01),
        replace(HOT, typical_p=0.8),
        replace(HOT, mirostat=1),
        replace(HOT, mirostat=2),
        replace(HOT, xtc_probability=0.5, xtc_threshold=0.01),
        replace(HOT, presence_penalty=1, frequency_penalty=0.5, repeat_penalty=1.2),
        replace(HOT, dry_multiplier=0.8, dry_penalty_last_n=-1),
    ],
)
def test_a_seed_reproduces_every_kind_of_sampling(
    runtime: LlamaRuntime, params: SamplingParams
) -> None:
    run(runtime, prompt(0, A))
    first = draw(runtime, params, 12)
    assert draw(runtime, params, 12) == first
    assert draw(runtime, replace(params, seed=8), 12) != first


def test_no_seed_is_a_fresh_one(runtime: LlamaRuntime) -> None:
    run(runtime, prompt(0, A))
    unseeded = replace(HOT, seed=None)
    assert draw(runtime, unseeded, 12) != draw(runtime, unseeded, 12)


def test_top_k_one_is_the_most_likely_token(runtime: LlamaRuntime) -> None:
    logits = run(runtime, prompt(0, A))[0]
    assert set(draw(runtime, replace(HOT, top_k=1), 5)) == {int(logits.argmax())}


@pytest.mark.parametrize("window", [64, -1])
def test_penalties_see_the_prompt(runtime: LlamaRuntime, window: int) -> None:
    run(runtime, prompt(0, A))
    row = runtime.logits(1)[0]
    row[:] = 0.0
    row[A] = 5.0
    greedy = SamplingParams(temperature=0, presence_penalty=10.0, repeat_last_n=window)
    assert draw(runtime, greedy, 1)[0] not in A
    assert draw(runtime, replace(greedy, presence_penalty=0.0, frequency_penalty=0.1), 1)[0] in A


@pytest.mark.parametrize("window", [64, -1])
def test_dry_breaks_a_repetition(runtime: LlamaRuntime, window: int) -> None:
    pattern = [40, 41, 42, 43, 44, 40, 41, 42, 43]
    run(runtime, prompt(0, pattern))
    row = runtime.logits(1)[0]
    params = SamplingParams(
        temperature=0, dry_multiplier=2.0, dry_penalty_last_n=window, dry_sequence_breakers=()
    )
    for dry, expected in ((params, 50), (replace(params, dry_multiplier=0.0), 44)):
        row[:] = 0.0
        row[44], row[50] = 5.0, 4.0
        sampler = runtime.make_sampler(dry, pattern)
        assert sampler.sample(len(pattern) - 1, row) == expected
        sampler.close()


def test_a_copied_dry_stage_keeps_its_breakers(runtime: LlamaRuntime) -> None:
    pattern = [40, 41, 42, 43, 44, 40, 41, 42, 43]
    run(runtime, prompt(0, pattern))
    row = runtime.logits(1)[0]
    breaker = runtime.vocabulary.piece(42).decode()
    params = SamplingParams(temperature=0, dry_multiplier=2.0, dry_sequence_breakers=(breaker,))
    for _ in range(3):  # built first, copied afterwards
        row[:] = 0.0
        row[44], row[50] = 5.0, 4.0
        sampler = runtime.make_sampler(params, pattern)
        assert sampler.sample(len(pattern) - 1, row) == 44, "only one token repeats since 42"
        sampler.close()


def test_a_window_beyond_the_context_costs_no_more_than_the_context(runtime: LlamaRuntime) -> None:
    run(runtime, prompt(0, A))
    huge = 2**31 - 1
    params = SamplingParams(
        temperature=0,
        dry_multiplier=1.0,
        dry_penalty_last_n=huge,
        repeat_last_n=huge,
        presence_penalty=1.0,
    )
    assert len(draw(runtime, params, 2)) == 2
