"""Made-up results."""

from dataclasses import replace

from app.cli.bench.prompts import Calibration
from app.cli.bench.results import Parameters, Report
from app.cli.bench.stats import Figures, Row

FIGURES = Figures(
    requests=8,
    errors=0,
    seconds=4.0,
    requests_per_s=2.0,
    output_tokens_per_s=256.0,
    prompt_tokens_per_s=1000.0,
    ttft_p50_ms=120.0,
    ttft_p99_ms=1500.0,
    gap_p50_ms=8.25,
    gap_p99_ms=20.0,
    gap_max_ms=31.0,
    output_tokens=1024,
    prompt_tokens=4000,
    cached_tokens=0,
    short_answers=0,
)
SLOWER = replace(FIGURES, output_tokens_per_s=128.0, ttft_p50_ms=60.0)


def report(
    label: str = "Corral", figures: Figures = FIGURES, messages: list[str] | None = None
) -> Report:
    """A report of two workloads with three equal passes."""
    rows = [("decode", 4), ("prefill", 4)]
    return Report(
        date="2026-01-02T03:04:05+00:00",
        label=label,
        url="http://localhost:1",
        model="models/tiny",
        parameters=Parameters(["decode", "prefill"], [4], 3, 1.0, None, 0, ignore_eos=True),
        calibration=Calibration(1.5, 12, measured=True),
        rows=[Row(name, streams, [figures] * 3, messages or []) for name, streams in rows],
    )
