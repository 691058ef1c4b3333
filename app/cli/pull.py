"""`corral pull`: bring models here, or check what is here."""

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import click

from app.catalog.orders import Wish, find_wish, is_here, wishes_of
from app.catalog.pulls import Pulls
from app.catalog.registry import short_names
from app.cli.check import Checked, check_files
from app.cli.completions import PullName
from app.cli.pulled import tell_where
from app.cli.refusal import Refusal, refuse
from app.config.manifest import Manifest, read_manifest
from app.config.settings import Settings, load_settings
from app.core.errors import CorralError
from app.core.pulls import PullProgress

_INTERRUPTED = 130
_PATH = click.Path(path_type=Path)


class Display(Protocol):
    """Shows how far the files have come."""

    def show(self, progress: PullProgress) -> None: ...

    def close(self) -> None: ...


@click.command()
@click.argument("models", metavar="[MODEL]...", nargs=-1, type=PullName())
@click.option("--check", is_flag=True, help="Download nothing; compare what is here with the lock.")
@click.option("--names", is_flag=True, help="List the short names.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@click.option("--manifest", type=_PATH, help="The models.yaml to read.")
@click.option("--models-dir", type=_PATH, help="Where models are kept.")
def pull(
    *,
    models: tuple[str, ...],
    check: bool,
    names: bool,
    as_json: bool,
    manifest: Path | None,
    models_dir: Path | None,
) -> None:
    """Download models, whole and checked; what was begun goes on.

    MODEL is a name in models.yaml, a short name (--names), hf://OWNER/REPO/FILE.gguf[@REVISION] or
    an https:// address. Without any, everything that models.yaml names and is not here. HF_TOKEN
    opens what is not public. Exit code 1: something is missing or wrong; 2: bad configuration.
    """
    if names:
        for name, source in short_names().items():
            click.echo(json.dumps({"name": name, "source": source}) if as_json else name)
        return
    given = {"manifest": manifest, "models_dir": models_dir}
    try:
        settings = load_settings({key: value for key, value in given.items() if value is not None})
        known = read_manifest(settings.manifest) if settings.manifest else Manifest()
        if check:
            _report(check_files(known, settings, models), as_json)
            return
        wishes = [find_wish(name, known) for name in models] if models else [*wishes_of(known)]
        _pull_all(wishes, settings, as_json)
        tell_where(wishes, settings, is_quiet=as_json or not sys.stderr.isatty())
    except CorralError as error:
        raise refuse(error) from None


def make_pulls(settings: Settings) -> Pulls:
    return Pulls(
        settings.models_dir, is_offline=settings.is_offline, allows_http=settings.pull_http
    )


def _pull_all(wishes: Sequence[Wish], settings: Settings, as_json: bool) -> None:
    display = _make_display(as_json)
    try:
        failures = asyncio.run(_pull(wishes, settings, display))
    except KeyboardInterrupt:
        display.close()
        click.echo("corral: stopped; the same command goes on from here", err=True)
        sys.exit(_INTERRUPTED)
    display.close()
    if failures:
        raise Refusal("\n".join(failures))


async def _pull(wishes: Sequence[Wish], settings: Settings, display: Display) -> list[str]:
    """One file after the other: each has several connections of its own."""
    pulls = make_pulls(settings)
    failures: list[str] = []
    for wish in wishes:
        for order in wish.orders:
            if is_here(order, settings.models_dir, pulls):
                size = (settings.models_dir / order.place).stat().st_size
                display.show(PullProgress(order.place.name, "done", size, size))
                continue
            try:
                async with aclosing(pulls.pull(order)) as told:
                    async for progress in told:
                        display.show(progress)
            except CorralError as error:
                failures.append(f"{wish.name}: {error.message}")
    return failures


def _report(checked: Sequence[Checked], as_json: bool) -> None:
    for one in checked:
        if as_json:
            click.echo(json.dumps(asdict(one)))
        else:
            click.echo(f"{one.model}: {one.file}: {one.verdict}")
    if any(not one.is_right for one in checked):
        sys.exit(1)


def _make_display(as_json: bool) -> Display:
    if as_json:
        return _Lines(as_json=True)
    if sys.stderr.isatty():
        from app.cli.bars import Bars  # noqa: PLC0415  # a tenth of a second

        return Bars()
    return _Lines(as_json=False)


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

    def close(self) -> None:
        pass
