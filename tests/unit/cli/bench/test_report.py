from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from app.cli.bench.prompts import Calibration
from app.cli.bench.report import (
    METRICS,
    Ratio,
    milliseconds,
    notes,
    paired_rows,
    print_report,
    ratio_table,
    ratios,
)
from tests.unit.cli.bench.samples import FIGURES, SLOWER, report


def test_the_table_shows_medians_and_notes() -> None:
    output = StringIO()
    print_report(Console(file=output, width=120), report(messages=["HTTP 429: [full]"]))
    text = output.getvalue()
    for part in ("decode", "256.0", "1,000.0", "120 ms / 1.50 s", "8.2 ms / 20.0 ms", "[full]"):
        assert part in text


def test_the_ratio_table_names_both_runs() -> None:
    output = StringIO()
    Console(file=output, width=120).print(ratio_table(report(), report("Other", SLOWER)))
    assert "Corral / Other" in output.getvalue()
    assert "2.00" in output.getvalue()


def test_ratios_know_which_way_is_better() -> None:
    found = {ratio.metric.field: ratio for ratio in ratios(FIGURES, SLOWER)}
    assert found["output_tokens_per_s"].value == 2
    assert found["output_tokens_per_s"].verdict == "better"
    assert found["ttft_p50_ms"].value == 2
    assert found["ttft_p50_ms"].verdict == "worse"
    assert found["gap_p99_ms"].verdict == "tie"


@pytest.mark.parametrize(("value", "verdict"), [(1.09, "tie"), (0.91, "tie"), (1.2, "better")])
def test_small_differences_are_ties(value: float, verdict: str) -> None:
    assert Ratio(METRICS[0], value).verdict == verdict


def test_unknown_figures_have_no_ratio() -> None:
    blind = replace(FIGURES, ttft_p50_ms=None, prompt_tokens_per_s=0)
    fields = {ratio.metric.field for ratio in ratios(FIGURES, blind)}
    assert fields == {metric.field for metric in METRICS} - {"ttft_p50_ms", "prompt_tokens_per_s"}


def test_only_rows_of_both_runs_are_paired() -> None:
    other = report("Other")
    del other.rows[0]
    assert [mine.workload for mine, _ in paired_rows(report(), other)] == ["prefill"]


def test_notes_warn_of_misleading_figures() -> None:
    figures = replace(FIGURES, cached_tokens=3000, short_answers=2)
    guessed = replace(report(figures=figures), calibration=Calibration.assumed())
    text = "\n".join(notes(guessed))
    assert "no usage" in text
    assert "prefill, 4 streams: many prompts were cached" in text
    assert "decode, 4 streams: 2 answers were shorter" in text
    assert list(notes(report())) == []


def test_latencies_for_people() -> None:
    shown = [milliseconds(value) for value in (None, 0.54, 99.94, 120.4, 8760)]
    assert shown == ["-", "0.5 ms", "99.9 ms", "120 ms", "8.76 s"]
