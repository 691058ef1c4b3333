"""How far downloads are: for people, and for scripts."""

import json
import sys
from dataclasses import asdict
from typing import Protocol

import click

from app.core.pulls import PullProgress


class PullDisplay(Protocol):
    """Shows how far the files have come."""

    def show(self, progress: PullProgress) -> None: ...

    def close(self) -> None: ...


def choose_display(*, as_json: bool) -> PullDisplay:
    if as_json or not sys.stderr.isatty():
        return _Lines(as_json=as_json)
    from app.cli.bars import Bars  # noqa: PLC0415  # a tenth of a second

    return Bars()


class _Lines:
    """For scripts: JSON to standard output, or a line when a file begins and ends."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._last: tuple[str, str] | None = None

    def show(self, progress: PullProgress) -> None:
        if self._as_json:
            click.echo(json.dumps(asdict(progress)))
        elif (progress.file, progress.stage) != self._last:
            click.echo(f"{progress.file}: {progress.stage}", err=True)
        self._last = (progress.file, progress.stage)

    def close(self) -> None: ...
