from dataclasses import replace

import pytest

from app.cli.bench.records import Completion
from app.cli.bench.stats import Observation, median_figures, percentile, summarise
from tests.unit.cli.bench.samples import FIGURES


def test_percentile_interpolates() -> None:
    assert percentile([30, 10, 20], 0.5) == 20
    assert percentile([10, 20], 0.5) == 15
    assert percentile(range(101), 0.99) == 99
    assert percentile([0, 10], 0.99) == pytest.approx(9.9)


def test_percentile_of_one_and_of_none() -> None:
    assert percentile([7], 0.99) == 7
    assert percentile([], 0.5) is None


def test_gaps_are_those_that_overlap_the_window() -> None:
    completion = Completion(started=0, finished=9, token_times=(1, 2, 4, 8))
    assert completion.gaps() == [1, 2, 4]
    assert completion.gaps(since=2.5, until=3) == [2]
    assert completion.gaps(since=2, until=5) == [2, 4]


def test_a_pass_is_measured_from_the_first_start_to_the_last_end() -> None:
    seen = Observation.of(
        [
            Completion(10, 12, (11, 11.5), output_tokens=2, prompt_tokens=30),
            Completion(11, 14, (13, 13.2), output_tokens=2, prompt_tokens=50, cached_tokens=40),
        ]
    )
    figures = summarise(seen)
    assert figures.seconds == 4
    assert figures.requests_per_s == 0.5
    assert figures.output_tokens_per_s == 1
    assert figures.prompt_tokens_per_s == 20
    assert figures.ttft_p50_ms == pytest.approx(1500)
    assert figures.gap_max_ms == pytest.approx(500)
    assert figures.cached_tokens == 40


def test_failed_requests_count_only_as_errors() -> None:
    good = Completion(0, 2, (1,), output_tokens=4, prompt_tokens=10, wanted_tokens=4)
    short = replace(good, output_tokens=2)
    failed = replace(good, error="no", token_times=(0.1,))
    figures = summarise(Observation.of([good, short, failed]))
    assert (figures.requests, figures.errors, figures.short_answers) == (3, 1, 1)
    assert figures.output_tokens == 6
    assert figures.ttft_p50_ms == 1000


def test_a_pass_without_answers_has_no_latencies() -> None:
    figures = summarise(Observation.of([Completion(0, 1, error="no")]))
    assert figures.ttft_p50_ms is None
    assert figures.gap_p99_ms is None
    assert figures.output_tokens_per_s == 0


def test_medians_over_passes() -> None:
    passes = [
        replace(FIGURES, output_tokens_per_s=rate, gap_p99_ms=gap, errors=errors)
        for rate, gap, errors in ((1, None, 1), (9, 4, 0), (2, 6, 2))
    ]
    figures = median_figures(passes)
    assert figures.output_tokens_per_s == 2
    assert figures.gap_p99_ms == 5
    assert figures.errors == 3


def test_a_figure_never_seen_stays_unknown() -> None:
    assert median_figures([replace(FIGURES, gap_p50_ms=None)] * 2).gap_p50_ms is None
