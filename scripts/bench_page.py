"""The benchmark page: what was measured, on what, and who was slower."""

import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from app import __version__
from app.cli.bench.report import TIE, milliseconds, notes, paired_rows, ratios
from app.cli.bench.results import Report

WORKLOADS = """\
| workload | what is sent |
|---|---|
| decode | short prompts (64 tokens), answers of 128 tokens, 1, 4 or 16 at a time |
| prefill | prompts of 1,000 tokens that share nothing, 4 at a time, answers of 8 tokens |
| shared-prefix | 16 requests, 8 at a time, that begin with the same 1,000 tokens |
| multi-turn | 4 chats of 5 turns, each turn with the whole history so far |
| interference | 4 running streams while a prompt of 2,000 tokens arrives: the time to first token \
is the long prompt's, the gaps are those of the 4 streams while it is computed |
| json-schema | answers that must follow a JSON schema, checked, 1 or 4 at a time |

Greedy sampling; prompt lengths are as the server counts them; answers have their full length
(`ignore_eos`) except under a schema. Prompt tokens answered from a cache count as prompt tokens.
The load client runs on the same cores as the server.
"""


@dataclass(frozen=True, slots=True)
class Setup:
    """Where and with what a benchmark ran."""

    facts: list[tuple[str, str]]

    @classmethod
    def of_this_machine(
        cls,
        model: Path,
        note: str | None,
        threads: int,
        llama_server: Path | None,
        flags: Sequence[str],
    ) -> "Setup":
        """Read the machine and the versions; call it before the run, for the load average."""
        corral = f"{__version__}, llama-cpp-python {version('llama-cpp-python')}"
        size = f"{model.stat().st_size / 1e6:,.1f} MB"
        facts = [
            ("CPU", f"{_cpu_name()}, {os.cpu_count()} cores, {threads} threads for each server"),
            ("Load average before", f"{os.getloadavg()[0]:.2f}"),
            ("System", f"{platform.system()} {platform.machine()}"),
            ("Model", ", ".join(filter(None, (f"`{model.name}`", size, note)))),
            ("Corral", f"{corral}, Python {platform.python_version()}"),
        ]
        if llama_server is not None:
            facts.append(("llama-server", f"{_server_version(llama_server)}, `{' '.join(flags)}`"))
        return cls(facts)


def render(reports: Sequence[Report], setup: Setup, plot: str) -> str:
    """The page in Markdown; the first report is the one the others are compared with."""
    passes = max((len(row.repeats) for row in reports[0].rows), default=0)
    origin = (
        f"Measured on {reports[0].date[:10]} by `python -m scripts.bench`, which wrote this page. "
        f"Servers took turns; every figure is the median of {passes} "
        f"{'pass' if passes == 1 else 'passes'}."
    )
    facts = [f"| {name} | {value} |" for name, value in setup.facts]
    labels = " and ".join(report.label for report in reports)
    parts = [
        "# Benchmarks",
        origin,
        "\n".join(["| | |", "|---|---|", *facts]),
        f"![Bars: throughput and latency of {labels}]({plot})",
        "## Figures",
        "\n".join(_figure_lines(reports)),
        *_warnings(reports),
        *(part for other in reports[1:] for part in _comparison(reports[0], other)),
        "## Workloads",
        WORKLOADS.rstrip(),
    ]
    return "\n\n".join(parts) + "\n"


def _figure_lines(reports: Sequence[Report]) -> Iterator[str]:
    yield (
        "| workload | streams | server | req/s | output tok/s | prompt tok/s "
        "| TTFT p50 / p99 | gap p50 / p99 | errors |"
    )
    yield "|---|--:|---|--:|--:|--:|--:|--:|--:|"
    for rows in zip(*(report.rows for report in reports), strict=True):
        for report, row in zip(reports, rows, strict=True):
            figures = row.figures
            cells = [
                row.workload,
                str(row.streams),
                report.label,
                f"{figures.requests_per_s:.2f}",
                f"{figures.output_tokens_per_s:,.1f}",
                f"{figures.prompt_tokens_per_s:,.1f}",
                f"{milliseconds(figures.ttft_p50_ms)} / {milliseconds(figures.ttft_p99_ms)}",
                f"{milliseconds(figures.gap_p50_ms)} / {milliseconds(figures.gap_p99_ms)}",
                f"{figures.errors:g}",
            ]
            yield f"| {' | '.join(cells)} |"


def _warnings(reports: Sequence[Report]) -> Iterator[str]:
    lines = [f"- {report.label}: {note}" for report in reports for note in notes(report)]
    if lines:
        yield "\n".join(lines)


def _comparison(this: Report, other: Report) -> Iterator[str]:
    yield f"## {this.label} against {other.label}"
    yield (
        f"Differences of up to {TIE:.0%} are within the noise between passes and count as ties. "
        f"The number is {this.label}'s figure divided by {other.label}'s."
    )
    for verdict in ("worse", "better", "tie"):
        lines = list(_verdict_lines(this, other, verdict)) or ["- nothing"]
        yield "\n".join([f"### {verdict.capitalize()}", "", *lines])


def _verdict_lines(this: Report, other: Report, verdict: str) -> Iterator[str]:
    for mine, theirs in paired_rows(this, other):
        found = [
            f"{ratio.metric.title} {ratio.value:.2f}"
            for ratio in ratios(mine.figures, theirs.figures)
            if ratio.verdict == verdict
        ]
        if found:
            yield f"- {mine.workload}, {mine.streams} streams: {', '.join(found)}"


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")


def _server_version(binary: Path) -> str:
    answer = subprocess.run(
        [binary, "--version"], capture_output=True, text=True, check=True, timeout=30
    )
    lines = (answer.stdout + answer.stderr).splitlines()
    return next((line for line in lines if line.startswith("version:")), "unknown version")
