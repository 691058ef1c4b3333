"""`corral models`: models.yaml as a lock file."""

import json
from pathlib import Path

import click

from app.catalog import hub
from app.catalog.lock import find_pins
from app.cli.refusal import BadConfiguration, Refusal, refuse
from app.config.manifest import read_manifest
from app.config.pins import write_pins
from app.config.settings import load_settings
from app.config.sources import HubSource
from app.core.errors import CorralError, PullFailed


@click.group()
def models() -> None:
    """Keep models.yaml as a lock file."""


@models.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--upgrade", is_flag=True, help="Pin what branches, tags and files are now.")
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 where something is open.")
def lock(path: Path | None, *, upgrade: bool, check: bool) -> None:
    """Fill in `revision`, `size` and `sha256` in PATH (models.yaml by default).

    What is pinned stays as it is, and so do comments and order. Nothing is downloaded: the hub
    tells its digests; files on this machine are read.
    """
    try:
        settings = load_settings()
        path = path or settings.manifest
        if path is None:
            raise BadConfiguration("There is no models.yaml here; name the file.")
        manifest = read_manifest(path)

        def resolve(source: HubSource) -> hub.HubFile:
            if settings.is_offline:
                raise PullFailed(f"{source.file} cannot be locked: LLM_OFFLINE is set.")
            return hub.resolve(source, allows_http=settings.pull_http)

        base = path.absolute().parent
        pins = find_pins(manifest, base, settings.models_dir, resolve, upgrades=upgrade)
        if pins and not check:
            write_pins(path, pins)
    except CorralError as error:
        raise refuse(error) from None
    for place, keys in pins.items():
        for key, value in keys.items():
            click.echo(f"{manifest.locate(*place)}: {key}: {json.dumps(value)}")
    if pins and check:
        raise Refusal(f"{path} is not locked: run `corral models lock`.")
