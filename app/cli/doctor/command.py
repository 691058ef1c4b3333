"""`corral doctor`."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict

import click

from app.cli.doctor.finding import Finding
from app.cli.target import json_option
from app.cli.theme import choose_palette

_WIDTH = 12


@click.command()
@json_option
def doctor(*, as_json: bool) -> None:
    """Say what is wrong here, and the remedy.

    Looks at Python and packages, llama.cpp's build and devices, memory, settings, models.yaml, the
    port, the models directory, and each model: does it fit, and how fast could it be. Exit code 1
    where something does not work.
    """
    has_failed = False
    for finding in examine():
        has_failed |= finding.level == "fail"
        if as_json:
            click.echo(json.dumps(asdict(finding)))
        else:
            _print(finding)
    if has_failed:
        sys.exit(1)


def examine() -> Iterator[Finding]:
    """Everything, as it is found."""
    from app.cli.doctor.machine import check_memory, check_versions  # noqa: PLC0415
    from app.cli.doctor.settings import check_settings, check_start  # noqa: PLC0415
    from app.telemetry.logging import configure_logging  # noqa: PLC0415

    configure_logging("console", "critical")  # what matters of it is found here
    yield from check_versions()
    settings, found = check_settings()
    yield from found
    yield from check_memory(settings)
    yield from check_start(settings)

    from app.cli.doctor.build import check_build  # noqa: PLC0415  # llama.cpp: half a second
    from app.cli.doctor.models import check_directory, check_models  # noqa: PLC0415
    from app.cli.doctor.port import check_port  # noqa: PLC0415

    yield from check_build(settings)
    yield from check_port(settings)
    yield from check_directory(settings)
    yield from check_models(settings)


def _print(finding: Finding) -> None:
    palette = choose_palette()
    colors = {"ok": palette.good, "warn": palette.warn, "fail": palette.bad}
    level = click.style(finding.level.ljust(5), fg=colors[finding.level], bold=True)
    click.echo(f"{level} {finding.topic.ljust(_WIDTH)} {finding.text}")
    if finding.fix is not None:
        click.echo(f"{'':5} {'':{_WIDTH}} → {finding.fix}")
