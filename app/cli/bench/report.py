"""Tables for a terminal: the figures of one run, and ratios of two."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from app.cli.bench.results import Report
from app.cli.bench.stats import Figures, Row

TIE = 0.10
"""Runs of one configuration differ by about this share; smaller differences mean nothing."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure that two runs are compared by."""

    field: str
    title: str
    higher_is_better: bool


METRICS = (
    Metric("output_tokens_per_s", "output tok/s", higher_is_better=True),
    Metric("prompt_tokens_per_s", "prompt tok/s", higher_is_better=True),
    Metric("ttft_p50_ms", "TTFT p50", higher_is_better=False),
    Metric("ttft_p99_ms", "TTFT p99", higher_is_better=False),
    Metric("gap_p50_ms", "gap p50", higher_is_better=False),
    Metric("gap_p99_ms", "gap p99", higher_is_better=False),
)


@dataclass(frozen=True, slots=True)
class Ratio:
    """One figure of this run divided by the same of the other."""

    metric: Metric
    value: float

    @property
    def verdict(self) -> str:
        """`better`, `worse` or `tie`, for this run."""
        gain = self.value if self.metric.higher_is_better else 1 / self.value
        if abs(gain - 1) <= TIE:
            return "tie"
        return "better" if gain > 1 else "worse"


def figure_table(report: Report) -> Table:
    """The medians of every workload."""
    table = Table(title=f"{report.label} - {report.model}", title_justify="left")
    table.add_column("workload")
    for title in ("streams", "req/s", "output tok/s", "prompt tok/s"):
        table.add_column(title, justify="right")
    for title in ("TTFT p50 / p99", "inter-token p50 / p99", "errors"):
        table.add_column(title, justify="right")
    for row in report.rows:
        table.add_row(*_cells(row), style="bad" if row.figures.errors else None)
    return table


def ratio_table(this: Report, other: Report) -> Table:
    """This run divided by the other, for the workloads that both have."""
    title = f"{this.label} / {other.label} (within {TIE:.0%}: a tie)"
    table = Table(title=title, title_justify="left")
    table.add_column("workload")
    table.add_column("streams", justify="right")
    for metric in METRICS:
        better = "higher" if metric.higher_is_better else "lower"
        table.add_column(f"{metric.title}\n[dim]{better} is better[/]", justify="right")
    styles = {"better": "good", "worse": "bad", "tie": "dim"}
    for mine, theirs in paired_rows(this, other):
        found = {ratio.metric: ratio for ratio in ratios(mine.figures, theirs.figures)}
        cells = [
            f"[{styles[found[metric].verdict]}]{found[metric].value:.2f}[/]"
            if metric in found
            else "-"
            for metric in METRICS
        ]
        table.add_row(mine.workload, str(mine.streams), *cells)
    return table


def paired_rows(this: Report, other: Report) -> Iterator[tuple[Row, Row]]:
    """Rows of the same workload and number of streams, in this run's order."""
    theirs = {(row.workload, row.streams): row for row in other.rows}
    for row in this.rows:
        if partner := theirs.get((row.workload, row.streams)):
            yield row, partner


def ratios(mine: Figures, theirs: Figures) -> Iterator[Ratio]:
    """The ratio of each metric that both runs have, zero figures left out."""
    for metric in METRICS:
        a: float | None = getattr(mine, metric.field)
        b: float | None = getattr(theirs, metric.field)
        if a and b:
            yield Ratio(metric, a / b)


def notes(report: Report) -> Iterator[str]:
    """What a reader must know to trust the figures."""
    if not report.calibration.measured:
        yield "The server reports no usage: tokens are counted events, prompt lengths are guesses."
    for row in report.rows:
        figures = row.figures
        name = f"{row.workload}, {row.streams} streams"
        if row.workload == "prefill" and figures.cached_tokens > 0.2 * figures.prompt_tokens:
            yield f"{name}: many prompts were cached by an earlier run; use another --seed."
        if figures.short_answers:
            yield f"{name}: {figures.short_answers:g} answers were shorter than asked for."
        for message in row.messages:
            yield f"{name}: {message}"


def print_report(console: Console, report: Report) -> None:
    """The table of one run, then its notes."""
    console.print(figure_table(report))
    for note in notes(report):
        console.print(note, markup=False, highlight=False)


def milliseconds(value: float | None) -> str:
    """A latency for people: `8.3 ms`, `120 ms`, `4.20 s`, or a dash."""
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value / 1000:.2f} s"
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms"


def _cells(row: Row) -> list[str]:
    figures = row.figures
    return [
        row.workload,
        str(row.streams),
        f"{figures.requests_per_s:.2f}",
        f"{figures.output_tokens_per_s:,.1f}",
        f"{figures.prompt_tokens_per_s:,.1f}",
        f"{milliseconds(figures.ttft_p50_ms)} / {milliseconds(figures.ttft_p99_ms)}",
        f"{milliseconds(figures.gap_p50_ms)} / {milliseconds(figures.gap_p99_ms)}",
        f"{figures.errors:g}",
    ]
