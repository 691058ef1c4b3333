from dataclasses import replace

import pytest

from app.cli.bench.counters import Counters
from app.cli.bench.records import ChatRequest, Completion
from app.cli.bench.stats import Observation, median_figures, percentile, steady_rate, summarise
from tests.unit.cli.bench.samples import FIGURES

ASKED = ChatRequest([], 4)


def test_percentile_interpolates() -> None:
    assert percentile([30, 10, 20], 0.5) == 20
    assert percentile([10, 20], 0.5) == 15
    assert percentile(range(101), 0.99) == 99
    assert percentile([0, 10], 0.99) == pytest.approx(9.9)


def test_percentile_of_one_and_of_none() -> None:
    assert percentile([7], 0.99) == 7
    assert percentile([], 0.5) is None


def test_gaps_are_those_that_overlap_the_window() -> None:
    completion = Completion(0, 9, ASKED, token_times=(1, 2, 4, 8))
    assert completion.gaps() == [1, 2, 4]
    assert completion.gaps(since=2.5, until=3) == [2]
    assert completion.gaps(since=2, until=5) == [2, 4]


def test_a_pass_is_measured_from_the_first_start_to_the_last_end() -> None:
    seen = Observation.of(
        [
            Completion(10, 12, ASKED, (11, 11.5), output_tokens=2, prompt_tokens=30),
            Completion(
                11, 14, ASKED, (13, 13.2), output_tokens=2, prompt_tokens=50, cached_tokens=40
            ),
        ]
    )
    figures = summarise(seen, 2)
    assert figures.seconds == 4
    assert figures.requests_per_s == 0.5
    assert figures.output_tokens_per_s == 1
    assert figures.prompt_tokens_per_s == 20
    assert figures.ttft_p50_ms == pytest.approx(1500)
    assert figures.gap_max_ms == pytest.approx(500)
    assert figures.cached_tokens == 40


def test_failed_requests_count_only_as_errors() -> None:
    good = Completion(0, 2, ASKED, (1,), output_tokens=4, prompt_tokens=10, wanted_tokens=4)
    short = replace(good, output_tokens=2)
    failed = replace(good, error="no", token_times=(0.1,))
    figures = summarise(Observation.of([good, short, failed]), 3)
    assert (figures.requests, figures.errors, figures.short_answers) == (3, 1, 1)
    assert figures.output_tokens == 6
    assert figures.ttft_p50_ms == 1000


def test_a_pass_without_answers_has_no_latencies() -> None:
    figures = summarise(Observation.of([Completion(0, 1, ASKED, error="no")]), 1)
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


def test_the_steady_rate_is_that_of_full_streams() -> None:
    first = Completion(0, 9, ASKED, (1, 2, 3, 4), output_tokens=4)
    second = Completion(0, 9, ASKED, (2, 3, 4, 5, 6), output_tokens=5)
    # Both decode from 2 to 4: two events each, a closing event included, an opening one not.
    assert steady_rate([first, second], 2) == 2
    assert steady_rate([first, second], 1) == pytest.approx(4 / 3)
    assert steady_rate([first, second], 3) is None


def test_an_event_of_several_tokens_counts_for_all() -> None:
    assert steady_rate([Completion(0, 9, ASKED, (1, 2, 3), output_tokens=6)], 1) == 2


def test_waves_of_streams_add_up() -> None:
    waves = [
        Completion(start, start + 5, ASKED, (start + 1, start + 2, start + 3), output_tokens=3)
        for start in (0, 0, 10, 10)
    ]
    assert steady_rate(waves, 2) == 2


def test_counters_and_plain_work_have_figures_of_their_own() -> None:
    done = Completion(0, 2, ASKED, (1,), output_tokens=4)
    free = Completion(5, 6, ASKED, (5.5,), output_tokens=8)
    seen = replace(Observation.of([done]), plain=[free], probe_times=[0.001, 0.003])
    figures = summarise(seen, 1, Counters(70, 4, 0.01))
    assert figures.output_tokens_per_s == 2
    assert figures.plain_tokens_per_s == 8
    assert figures.computed_prompt_tokens == 70
    assert figures.outside_ms_per_step == 2.5
    assert figures.health_p99_ms == pytest.approx(2.98)
