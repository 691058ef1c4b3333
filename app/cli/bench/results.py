"""A whole run as a value, and its JSON file."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.cli.bench.prompts import Calibration
from app.cli.bench.stats import Figures, Row

FORMAT = "corral-bench/1"
KEPT_MESSAGES = 3


class ResultsError(ValueError):
    """A file that is not a result of this benchmark."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What was asked for; two runs compare well when these are equal."""

    workloads: list[str]
    streams: list[int]
    repeat: int
    scale: float
    max_tokens: int | None
    seed: int
    ignore_eos: bool


@dataclass(frozen=True, slots=True)
class Report:
    """One run against one server. `date` is ISO 8601 with an offset."""

    date: str
    label: str
    url: str
    model: str
    parameters: Parameters
    calibration: Calibration
    rows: list[Row]

    @property
    def failed_requests(self) -> int:
        """Requests that failed, over all workloads and passes."""
        return round(sum(row.figures.errors for row in self.rows))


def save(report: Report, path: Path) -> None:
    """Write the report as JSON."""
    document = {"format": FORMAT, **to_document(report)}
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def to_document(report: Report) -> dict[str, Any]:
    """The report as JSON values, the medians too."""
    document: dict[str, Any] = asdict(report)
    for entry, row in zip(document["rows"], report.rows, strict=True):
        entry["median"] = asdict(row.figures)
    return document


def load(path: Path) -> Report:
    """Read a report back; medians are computed anew."""
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise ResultsError(f"{path} has format {document['format']!r}, not {FORMAT!r}")
        return from_document(document)
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as problem:
        raise ResultsError(f"{path} is not a result of this benchmark: {problem!r}") from problem


def from_document(document: dict[str, Any]) -> Report:
    """A report from what `to_document` made. Raises KeyError and TypeError."""
    return Report(
        date=document["date"],
        label=document["label"],
        url=document["url"],
        model=document["model"],
        parameters=Parameters(**document["parameters"]),
        calibration=Calibration(**document["calibration"]),
        rows=[_row(entry) for entry in document["rows"]],
    )


def _row(entry: dict[str, Any]) -> Row:
    return Row(
        workload=entry["workload"],
        streams=entry["streams"],
        repeats=[Figures(**figures) for figures in entry["repeats"]],
        messages=entry["messages"],
    )


def merge(reports: Sequence[Report]) -> Report:
    """One report from several runs of the same parameters, with all their passes.

    It keeps the first run's description, so `parameters.repeat` stays that of one run.
    """
    rows: dict[tuple[str, int], Row] = {}
    for row in (row for report in reports for row in report.rows):
        known = rows.setdefault((row.workload, row.streams), Row(row.workload, row.streams, []))
        known.repeats.extend(row.repeats)
        known.messages.extend(row.messages[: KEPT_MESSAGES - len(known.messages)])
    first = reports[0]
    return Report(
        date=first.date,
        label=first.label,
        url=first.url,
        model=first.model,
        parameters=first.parameters,
        calibration=first.calibration,
        rows=list(rows.values()),
    )
