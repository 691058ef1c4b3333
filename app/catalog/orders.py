"""What there is to pull: the files behind a name, and which of them are here."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from app.catalog.pulls import Order, Pulls
from app.catalog.registry import short_names
from app.config.manifest import Companion, Entry, Manifest
from app.config.sources import HubSource, RemoteSource, is_remote, parse_remote
from app.core.errors import BadRequest, SourceNotFound

_LATEST = ":latest"


@dataclass(frozen=True, slots=True)
class Wish:
    """A model to be had: its name, and a file for each of its parts. `is_given`: who asks named the
    source, and no name that stands for one."""

    name: str
    orders: tuple[Order, ...]
    is_given: bool = False


def wishes_of(manifest: Manifest) -> Iterator[Wish]:
    """What the manifest's entries, and the files that go with them, are pulled from."""
    for entry in manifest.models:
        orders = [*_orders_of(entry)]
        for _, companion in entry.companions():
            orders += _orders_of(companion)
        if orders:
            yield Wish(entry.id, tuple(orders))


def find_wish(name: str, manifest: Manifest) -> Wish:
    """A model of the manifest by id or alias, a short name, or a source; `name:latest` is `name`.

    A short name may be written as Ollama writes it (`qwen3:4b`), and is the model's name then.
    Raises BadRequest for a source that is none, and SourceNotFound with what comes near.
    """
    plain = name.removesuffix(_LATEST)
    for entry in manifest.models:
        if {name, plain, plain + _LATEST} & {entry.id, *entry.aliases}:
            wish = next((wish for wish in wishes_of(manifest) if wish.name == entry.id), None)
            return wish or Wish(entry.id, ())
    known = short_names()
    if (short := known.get(plain) or known.get(plain.replace(":", "-"))) is not None:
        return Wish(plain, (Order(parse_remote(short), Path(f"{plain}.gguf")),))
    if is_remote(name):
        try:
            source = parse_remote(name)
        except ValueError as error:
            raise BadRequest(f"{error}.", param="model") from None
        orders = tuple(Order(part, part.place) for part in source.parts())
        return Wish(name, orders, is_given=True)
    names = [*known, *(entry.id for entry in manifest.models)]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]}?" if near else ". `corral pull --names` lists what it knows."
    raise SourceNotFound(f"There is no model {name!r} to pull{hint}", param="model")


def is_here(order: Order, models_dir: Path, pulls: Pulls) -> bool:
    """Whether the file is there, and the one that is wanted as far as its size and pin tell."""
    path = models_dir / order.place
    if not path.is_file():
        return False
    if order.size is not None and path.stat().st_size != order.size:
        return False
    pinned = pulls.pinned(order.place)
    if pinned is None:
        return True
    wanted = order.source.revision if isinstance(order.source, HubSource) else None
    is_other_commit = order.is_pinned and pinned.revision != wanted
    return order.sha256 in {None, pinned.sha256} and not is_other_commit


def _orders_of(said: Entry | Companion) -> Iterator[Order]:
    if not is_remote(said.source):
        return
    source: RemoteSource = parse_remote(said.source)
    revision = said.revision if isinstance(said, Entry) else None
    if revision is not None and isinstance(source, HubSource):
        source = replace(source, revision=revision)
    parts = source.parts()
    is_whole = len(parts) == 1
    digest = said.sha256.lower() if said.sha256 is not None else None
    size = said.size if isinstance(said, Entry) else None
    for part in parts:
        yield Order(
            part,
            part.place,
            size if is_whole else None,
            digest if is_whole else None,
            is_pinned=revision is not None,
        )
