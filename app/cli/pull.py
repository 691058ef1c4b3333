"""`corral pull`: bring models here, or to a server, or check what is here."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import click

from app.catalog.hub import find_source
from app.catalog.hub_names import read_hub_name
from app.catalog.orders import find_wish, wishes_of
from app.catalog.registry import short_names
from app.cli.check import Checked, check_files
from app.cli.completions import PullName
from app.cli.pull_display import choose_display
from app.cli.pull_here import pull_here
from app.cli.pulled import tell_where
from app.cli.refusal import BadConfiguration
from app.cli.target import (
    Where,
    json_option,
    load_store_settings,
    need_remote,
    refusing,
    where_options,
)
from app.config.manifest import Manifest, read_manifest
from app.config.settings import Settings


@click.command()
@click.argument("models", metavar="[MODEL]...", nargs=-1, type=PullName())
@click.option("--check", is_flag=True, help="Download nothing; compare what is here with the lock.")
@click.option("--names", is_flag=True, help="List the short names.")
@json_option
@where_options
def pull(*, models: tuple[str, ...], check: bool, names: bool, as_json: bool, where: Where) -> None:
    """Download models, whole and checked; what was begun goes on.

    MODEL is a name in models.yaml, a short name (--names), hf://OWNER/REPO/FILE.gguf[@REVISION],
    hf.co/OWNER/REPO[:QUANT] as Ollama has it, or an https:// address. Without any, everything that
    models.yaml names and is not here. HF_TOKEN opens what is not public. They come to the server
    that --url or CORRAL_URL names, else to the models directory here. Exit code 1: something is
    missing or wrong; 2: bad configuration.
    """
    with refusing():
        if check:
            _check(models, where, as_json)
        elif where.names_server:
            _pull_there(models, where, names, as_json)
        elif names:
            _list_names(short_names(), as_json)
        else:
            _pull_here(models, where, as_json)


def _pull_here(models: Sequence[str], where: Where, as_json: bool) -> None:
    settings, known = _read_store(where)
    if models:
        wishes = [find_wish(_find_source(name, settings), known) for name in models]
    else:
        wishes = [*wishes_of(known)]
    pull_here(wishes, settings, choose_display(as_json=as_json))
    tell_where(wishes, settings, is_quiet=_is_quiet(as_json))


def _find_source(name: str, settings: Settings) -> str:
    """What a name of Ollama's for a file on the hub stands for; any other is itself."""
    wanted = read_hub_name(name)
    if wanted is None:
        return name
    return find_source(wanted, is_offline=settings.is_offline, allows_http=settings.pull_http)


def _pull_there(models: Sequence[str], where: Where, names: bool, as_json: bool) -> None:
    from app.cli.pull_there import pull_there  # noqa: PLC0415  # the HTTP client

    with need_remote(where) as remote:
        if names:
            _list_names(remote.short_names(), as_json)
            return
        pull_there(remote, models, choose_display(as_json=as_json), is_quiet=_is_quiet(as_json))


def _list_names(names: Mapping[str, str], as_json: bool) -> None:
    for name, source in names.items():
        click.echo(json.dumps({"name": name, "source": source}) if as_json else name)


def _check(models: Sequence[str], where: Where, as_json: bool) -> None:
    if where.url is not None:
        raise BadConfiguration("--check reads the files here, and no server's: leave --url out")
    settings, known = _read_store(where)
    checked: list[Checked] = check_files(known, settings, models)
    for one in checked:
        told = f"{one.model}: {one.file}: {one.verdict}"
        click.echo(json.dumps(asdict(one)) if as_json else told)
    if any(not one.is_right for one in checked):
        sys.exit(1)


def _read_store(where: Where) -> tuple[Settings, Manifest]:
    settings = load_store_settings(where)
    return settings, read_manifest(settings.manifest) if settings.manifest else Manifest()


def _is_quiet(as_json: bool) -> bool:
    """Nobody reads hints in a script."""
    return as_json or not sys.stderr.isatty()
