"""Measure what choosing one token costs: microseconds a row for each kind of sampling.

    python -m scripts.bench_sampling --vocabulary 151936

Needs no model: rows are random. "peaked" ones are as of a model that is rather sure, in "flat" ones
a hundred thousand tokens matter. "cold" rows were last touched 40 megabytes ago, as in an engine
between two steps. Each figure is the median over all rows of the least of three measurements.
"""

import time
from dataclasses import replace
from typing import Any, cast

import click
import numpy as np

from app.core.requests import SamplingParams
from app.engine.messages import SequenceSpec
from app.engine.sampling import TokenChooser, needs_sampler
from app.engine.sequence import Sequence
from app.llama.sampler import ChainSampler

PROMPT = tuple(range(1000, 3000))
OFF = SamplingParams(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, seed=1)
GREEDY = SamplingParams(temperature=0)
KINDS: dict[str, tuple[SamplingParams, int | None]] = {
    "greedy": (GREEDY, None),
    "greedy, logprobs": (GREEDY, 0),
    "greedy, 5 logprobs": (GREEDY, 5),
    "greedy, 20 logprobs": (GREEDY, 20),
    "default: top_k 40, top_p, min_p": (SamplingParams(seed=1), None),
    "top_k 1000": (replace(OFF, top_k=1000), None),
    "penalties, greedy": (replace(GREEDY, presence_penalty=0.5), None),
    "penalties, default": (SamplingParams(seed=1, repeat_penalty=1.1), None),
    "penalties over 2000 tokens": (
        SamplingParams(seed=1, repeat_penalty=1.1, repeat_last_n=-1),
        None,
    ),
    "temperature 1 alone": (OFF, None),
    "temperature 0.7 alone": (replace(OFF, temperature=0.7), None),
    "top_p 0.95": (replace(OFF, top_p=0.95), None),
    "top_p 0.95, temperature 0.7": (replace(OFF, top_p=0.95, temperature=0.7), None),
    "top_p 0.95, temperature 1.5": (replace(OFF, top_p=0.95, temperature=1.5), None),
    "top_p 0.5": (replace(OFF, top_p=0.5), None),
    "min_p 0.05": (replace(OFF, min_p=0.05), None),
    "min_p 0.05, temperature 0.7": (replace(OFF, min_p=0.05, temperature=0.7), None),
    "top_p 0.95, min_p 0.05": (replace(OFF, top_p=0.95, min_p=0.05), None),
    "typical_p 0.9": (replace(OFF, typical_p=0.9), None),
    "xtc": (replace(OFF, xtc_probability=1.0), None),
    "min_p 0.05, xtc": (replace(OFF, min_p=0.05, xtc_probability=1.0), None),
}


class _Vocabulary:
    """As much of one as choosing a token needs."""

    end_tokens = frozenset[int]()

    def __init__(self, size: int) -> None:
        self.size = size

    def piece(self, token: int, *, special: bool = False) -> bytes:
        return b"token" if special else str(token).encode()


def _rows(vocabulary: int, count: int, *, peaked: bool) -> np.ndarray:
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((count, vocabulary), np.float32)
    if peaked:
        rows *= 2.0
        for row in rows:
            row[rng.choice(vocabulary, 60, replace=False)] += np.linspace(6, 15, 60)
    return rows


def _measure(rows: np.ndarray, kind: str, *, warm: bool) -> float:
    """Microseconds a row."""
    sampling, logprobs = KINDS[kind]
    vocabulary = rows.shape[1]
    chooser = TokenChooser(_Vocabulary(vocabulary))
    sequence = Sequence.from_spec(
        SequenceSpec("bench", PROMPT, max_tokens=1, sampling=sampling, logprobs=logprobs)
    )
    if needs_sampler(sampling):
        sequence.sampler = ChainSampler(
            sampling,
            PROMPT,
            dry_stages=cast("Any", None),  # no kind uses DRY
            vocabulary_size=vocabulary,
            context_size=4096,
        )
    seconds = np.empty((3, len(rows)))
    for turn in seconds:
        for index, row in enumerate(rows):
            if warm:
                row.max()
            started = time.perf_counter()
            chooser.choose(sequence, row, 0)
            turn[index] = time.perf_counter() - started
    if sequence.sampler is not None:
        sequence.sampler.close()
    return 1e6 * float(np.median(seconds.min(axis=0)))


@click.command()
@click.option("--vocabulary", type=click.IntRange(1000), default=151_936, show_default=True)
@click.option("--only", default="", help="Kinds of sampling whose name contains this.")
def main(vocabulary: int, only: str) -> None:
    """Print microseconds a row for each kind of sampling."""
    count = max(16, 40_000_000 // (4 * vocabulary))
    click.echo(f"microseconds a row, {vocabulary} tokens")
    click.echo(f"{'':34}{'peaked':>8}{'cold':>8}{'flat':>8}{'cold':>8}")
    for kind in KINDS:
        if only not in kind:
            continue
        figures: list[float] = []
        for peaked in (True, False):
            rows = _rows(vocabulary, count, peaked=peaked)
            figures.append(_measure(rows[:8].copy(), kind, warm=True))
            figures.append(_measure(rows, kind, warm=False))
        click.echo(f"{kind:34}" + "".join(f"{figure:8.0f}" for figure in figures))


if __name__ == "__main__":
    main()
