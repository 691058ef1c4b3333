"""One use of `corral bench`: run, show, write files, compare."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from app.cli.bench.report import print_report, ratio_table
from app.cli.bench.results import Parameters, Report, ResultsError, load, save
from app.cli.bench.runner import ServerUnusableError, Target, run_benchmark
from app.cli.styles import make_styles
from app.cli.theme import choose_theme

PLAIN_WIDTH = 120
"""Columns of a table that is not written to a terminal."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Files to write, and results to compare with."""

    json: Path | None = None
    plot: Path | None = None
    compare: tuple[Path, ...] = ()


class ProgressMeter:
    """A progress bar on the error stream; shows nothing unless that is a terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True, theme=make_styles(choose_theme()))
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("starting", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def begin(self, total: int) -> None:
        """Set the number of requests."""
        self._progress.update(self._task, total=total)

    def describe(self, text: str) -> None:
        """Name the part that is running."""
        self._progress.update(self._task, description=text)

    def advance(self) -> None:
        """Count one finished request."""
        self._progress.advance(self._task)


async def run_session(target: Target, parameters: Parameters, outputs: Outputs) -> int:
    """Run the benchmark and deliver its outputs; the exit code is 1 if a request failed."""
    try:
        others = [load(path) for path in outputs.compare]
        with ProgressMeter() as meter:
            report = await run_benchmark(target, parameters, meter)
    except (ResultsError, ServerUnusableError) as problem:
        raise click.ClickException(str(problem)) from problem
    console = table_console()
    print_report(console, report)
    for other in others:
        console.print(ratio_table(report, other))
    if outputs.json is not None:
        save(report, outputs.json)
    if outputs.plot is not None:
        _draw([report, *others], outputs.plot)
    return 1 if report.failed_requests else 0


def table_console() -> Console:
    """The standard output, wide enough for a table even when it is a file."""
    styles = make_styles(choose_theme())
    console = Console(theme=styles)
    return console if console.is_terminal else Console(width=PLAIN_WIDTH, theme=styles)


def _draw(reports: list[Report], path: Path) -> None:
    # matplotlib takes half a second to import, and is needed for plots only.
    from app.cli.bench.plot import draw  # noqa: PLC0415

    draw(reports, path)
