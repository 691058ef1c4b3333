"""Grouped bars of one or more runs."""

# matplotlib leaves the keyword arguments of most functions without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from app.cli.bench.report import milliseconds
from app.cli.bench.results import Report

COLORS = ("#c8553d", "#8d99ae", "#2a6f77", "#e0a458")
INK, PALE_INK, FAINT = "#22262b", "#6b7280", "#d9dde3"
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "ytick.color": INK,
    "svg.hashsalt": "corral-bench",
}


@dataclass(frozen=True, slots=True)
class Panel:
    """One group of bars: a figure of the workloads where it tells something."""

    title: str
    field: str
    workloads: tuple[str, ...]
    is_latency: bool

    def text(self, value: float) -> str:
        """The figure as it stands beside its bar."""
        return milliseconds(value) if self.is_latency else f"{value:,.0f}"


PANELS = (
    Panel(
        "Output tokens per second\n(longer is better)",
        "output_tokens_per_s",
        ("decode", "small-decode", "shared-prefix", "multi-turn", "json-schema", "sampling"),
        is_latency=False,
    ),
    Panel(
        "Time to first token, median\n(shorter is better)",
        "ttft_p50_ms",
        ("prefill", "shared-prefix", "multi-turn", "crowded-chats", "interference"),
        is_latency=True,
    ),
    Panel(
        "Gap between tokens, 99th percentile\n(shorter is better)",
        "gap_p99_ms",
        ("decode", "multi-turn", "interference"),
        is_latency=True,
    ),
)


def draw(reports: Sequence[Report], path: Path) -> None:
    """Write the panels that have data to an SVG or PNG file."""
    panels = [panel for panel in PANELS if _names(reports, panel)]
    most = max((len(_names(reports, panel)) for panel in panels), default=1)
    with rc_context(STYLE):
        size = (4.2 * max(1, len(panels)), 1.7 + most * (0.16 + 0.22 * len(reports)))
        figure = Figure(figsize=size)
        figure.set_layout_engine("constrained", h_pad=0.1, w_pad=0.1)
        figure.suptitle(_title(reports), x=0.01, ha="left", fontweight="bold", fontsize=12)
        figure.supxlabel(_footer(reports), x=0.01, ha="left", fontsize=8, color=PALE_INK)
        for number, panel in enumerate(panels, start=1):
            axes = figure.add_subplot(1, len(panels), number)
            _draw_panel(axes, reports, panel)
            if number == 1 and len(reports) > 1:
                figure.legend(loc="outside upper right", ncols=len(reports), frameon=False)
        metadata = {"Date": None} if path.suffix == ".svg" else {}
        figure.savefig(path, dpi=160, metadata=metadata)


def _draw_panel(axes: Axes, reports: Sequence[Report], panel: Panel) -> None:
    names = _names(reports, panel)
    longest = _longest(reports, panel)
    height = 0.8 / len(reports)
    for number, (report, color) in enumerate(zip(reports, cycle(COLORS), strict=False)):
        values = _values(report, panel)
        shown = [(place, name) for place, name in enumerate(names) if name in values]
        places = [place + (number + 0.5) * height - 0.4 for place, _ in shown]
        lengths = [values[name] / longest[name] for _, name in shown]
        bars = axes.barh(places, lengths, height * 0.9, color=color, label=report.label)
        axes.bar_label(bars, [panel.text(values[name]) for _, name in shown], padding=3, fontsize=8)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.25)
    axes.set_xticks([])
    axes.set_title(panel.title, loc="left", fontsize=9.5)
    axes.tick_params(length=0)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    axes.spines["left"].set_color(FAINT)


def _names(reports: Sequence[Report], panel: Panel) -> list[str]:
    """Names of the panel's bars, in the order of the runs."""
    return list(dict.fromkeys(name for report in reports for name in _values(report, panel)))


def _values(report: Report, panel: Panel) -> dict[str, float]:
    """Bar name to figure."""
    found: dict[str, float] = {}
    for row in report.rows:
        value: float | None = getattr(row.figures, panel.field)
        if row.workload in panel.workloads and value:
            found[f"{row.workload} \N{MULTIPLICATION SIGN}{row.streams}"] = value
    return found


def _longest(reports: Sequence[Report], panel: Panel) -> dict[str, float]:
    """What a full bar stands for: a group's own maximum when runs are compared."""
    found = [_values(report, panel) for report in reports]
    if len(reports) == 1:
        return dict.fromkeys(found[0], max(found[0].values()))
    names = _names(reports, panel)
    return {name: max(values.get(name, 0) for values in found) for name in names}


def _title(reports: Sequence[Report]) -> str:
    labels = " and ".join(report.label for report in reports)
    return f"{labels}: {reports[0].model.rsplit('/', 1)[-1]}"


def _footer(reports: Sequence[Report]) -> str:
    passes = max((len(row.repeats) for row in reports[0].rows), default=0)
    words = ["name \N{MULTIPLICATION SIGN} parallel requests"]
    if passes > 1:
        words.append(f"medians of {passes} passes")
    if len(reports) > 1:
        words.append("each pair of bars has its own scale")
    return "; ".join([*words, reports[0].date[:10]])
