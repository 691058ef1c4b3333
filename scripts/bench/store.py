"""Everything that was measured so far, in one JSON file that is written after each part."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import click

from app.cli.bench.results import Parameters, Report, from_document, merge, to_document
from app.cli.bench.stats import Figures, Row


@dataclass
class Store:
    """Passes over workloads by server, other figures by server and name, and what went wrong.

    A file that is there is gone on with: what it has is not measured again.
    """

    path: Path
    setup: list[tuple[str, str]]
    parameters: Parameters
    reports: dict[str, Report] = field(default_factory=dict[str, Report])
    facts: dict[str, dict[str, list[float]]] = field(
        default_factory=dict[str, dict[str, list[float]]]
    )
    problems: list[str] = field(default_factory=list[str])

    def resume(self) -> None:
        """Take in what the file holds. Raises click.ClickException if it is of another run."""
        try:
            document: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
            there = Parameters(**document["parameters"])
            reports = [from_document(report) for report in document["reports"]]
            facts: dict[str, dict[str, list[float]]] = document["facts"]
            setup = [(name, value) for name, value in document["setup"]]
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise click.ClickException(f"cannot go on with {self.path}: {problem!r}") from problem
        for mine, others in (
            (_comparable(self.parameters), _comparable(there)),
            (dict(self.setup).get("Model"), dict(setup).get("Model")),
        ):
            if mine != others:
                raise click.ClickException(f"{self.path} is of another run: {others}")
        self.reports = {report.label: report for report in reports}
        self.facts, self.setup = facts, setup

    def save(self) -> None:
        """Write the file; a reader never sees half of it."""
        document: dict[str, Any] = {
            "setup": self.setup,
            "parameters": asdict(self.parameters),
            "facts": self.facts,
            "problems": self.problems,
            "reports": [to_document(report) for report in self.reports.values()],
        }
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        part.replace(self.path)

    def add_report(self, report: Report) -> None:
        """Add passes to those of the same server; a pass in which every request failed is lost."""
        kept = [row for row in report.rows if row.figures.errors < row.figures.requests]
        for row in report.rows:
            for message in row.messages:
                self.add_problem(f"{report.label}: {row.workload} x{row.streams}: {message}")
        known = self.reports.get(report.label)
        part = replace(report, rows=kept)
        self.reports[report.label] = merge([known, part]) if known else merge([part])
        self.save()

    def add_fact(self, label: str, name: str, value: float) -> None:
        """Add one measurement of a server."""
        self.facts.setdefault(label, {}).setdefault(name, []).append(value)
        self.save()

    def add_problem(self, text: str) -> None:
        """Remember what went wrong, for the page."""
        if text not in self.problems:
            self.problems.append(text)
            click.echo(text, err=True)
            self.save()

    def passes(self, label: str, workload: str, streams: int) -> int:
        """How often the server has run the workload."""
        return len(self.repeats(label, workload, streams))

    def repeats(self, label: str, workload: str, streams: int) -> list[Figures]:
        """A server's passes over a workload, in the order of the rounds."""
        row = self._row(label, workload, streams)
        return row.repeats if row else []

    def figures(self, label: str, workload: str, streams: int) -> Figures | None:
        """Medians of a server's passes over a workload."""
        row = self._row(label, workload, streams)
        return row.figures if row and row.repeats else None

    def _row(self, label: str, workload: str, streams: int) -> Row | None:
        rows = self.reports[label].rows if label in self.reports else []
        return next(
            (row for row in rows if (row.workload, row.streams) == (workload, streams)), None
        )

    def fact(self, label: str, name: str) -> float | None:
        """Median of the measurements of a fact."""
        values = self.facts.get(label, {}).get(name)
        return median(values) if values else None


def _comparable(parameters: Parameters) -> Parameters:
    """Without what may differ between two parts of one run."""
    return replace(parameters, workloads=[], streams=[])
