"""`corral manifest`: is models.yaml right, and what may stand in it."""

import json
from pathlib import Path

import click

from app.catalog.entries import build_catalog
from app.cli.refusal import BadConfiguration, refuse
from app.config.manifest import read_manifest, schema
from app.config.settings import load_settings
from app.core.errors import ConfigurationError


@click.group()
def manifest() -> None:
    """Check models.yaml."""


@manifest.command()
@click.argument("path", type=click.Path(path_type=Path), default=Path("models.yaml"))
def check(path: Path) -> None:
    """Check PATH (models.yaml by default) and the files that it names."""
    try:
        parsed = read_manifest(path)
        catalog = build_catalog(
            parsed, path.absolute().parent, load_settings().models_dir, discovers=False
        )
        from app.pool.templates import check_templates  # noqa: PLC0415  # half a second

        check_templates(parsed, catalog)
    except ConfigurationError as error:
        raise refuse(error) from None
    broken = [entry for entry in catalog if entry.error is not None and entry.is_here]
    if broken:
        lines = [f"{path}: model {entry.id}: {entry.path}: {entry.error}" for entry in broken]
        raise BadConfiguration("\n".join(lines))
    for entry in catalog:
        size = f"{entry.size / 1e6:.1f} MB" if entry.is_here else entry.error
        click.echo(f"{entry.id}: {entry.path} ({size})")


@manifest.command("schema")
def show_schema() -> None:
    """Print the JSON schema of models.yaml, for editors."""
    click.echo(json.dumps(schema(), indent=2))
