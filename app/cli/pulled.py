"""What to do with models once they are pulled: their names, and whether a server has them."""

import time
from collections.abc import Sequence
from contextlib import suppress

import click

from app.catalog.entries import read_catalog
from app.catalog.file_pins import PINS
from app.catalog.orders import Wish
from app.cli.address import choose_address
from app.cli.names import names_of
from app.cli.refusal import Refusal
from app.cli.target import Where, find_remote
from app.config.settings import Settings
from app.core.errors import ConfigurationError

_SECONDS = 4.0  # a server looks every second
_POLL_SECONDS = 0.25


def tell_where(wishes: Sequence[Wish], settings: Settings, *, is_quiet: bool) -> None:
    """Have a server that runs look at what is new, and say by which names it is asked;
    `is_quiet`: only wait until it has seen it."""
    names = _find_names(wishes, settings)
    folder = settings.models_dir / PINS
    if not names or not folder.is_dir():
        return
    with suppress(OSError):  # a folder that is not ours: the server looks later
        folder.touch()
    try:
        missing = _wait_for(names)
    except Refusal:  # it wants a key, or is gone by now: the models are here all the same
        missing = set[str]()
    for name in () if is_quiet else names:
        if name in missing:
            address = choose_address(None, None)
            told = (
                f"{name} is here, but not at {address.url}: that server has other models, and "
                f"`corral pull --url {address.url}` brings it there"
            )
        else:
            told = f"`corral run {name}` talks to it"
        click.echo(told, err=True)


def _find_names(wishes: Sequence[Wish], settings: Settings) -> list[str]:
    """The names that the files are served by; none where nothing can be served at all, which is for
    `corral serve` to say."""
    try:
        _, entries = read_catalog(settings.manifest, settings.models_dir)
    except ConfigurationError:
        return []
    pulled = {settings.models_dir / order.place for wish in wishes for order in wish.orders}
    return [entry.id for entry in entries if pulled & set(entry.paths) and entry.error is None]


def _wait_for(names: Sequence[str]) -> set[str]:
    """Those that the server which runs does not list in time; none where none runs."""
    deadline = time.monotonic() + _SECONDS
    with find_remote(Where()) as remote:
        while remote is not None:
            missing = set(names) - set(names_of(remote.rows()))
            if not missing or time.monotonic() > deadline:
                return missing
            time.sleep(_POLL_SECONDS)
    return set()
