"""What is on disk, compared with models.yaml and with what was pulled."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.catalog.gguf import GgufError, read_header
from app.catalog.orders import Wish, find_wish, wishes_of
from app.catalog.pulls import Order, Pulls
from app.config.manifest import Manifest
from app.config.settings import Settings

_CHUNK = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Checked:
    """A file and what is to be said of it, in words."""

    model: str
    file: str
    is_right: bool
    verdict: str


def check_files(manifest: Manifest, settings: Settings, names: Sequence[str]) -> list[Checked]:
    """Reads every file whole. Raises BadRequest for a name that nobody knows."""
    pulls = Pulls(settings.models_dir)
    wishes = [find_wish(name, manifest) for name in names] if names else [*wishes_of(manifest)]
    return [one for wish in wishes for one in _check(wish, settings.models_dir, pulls)]


def _check(wish: Wish, models_dir: Path, pulls: Pulls) -> Iterator[Checked]:
    for order in wish.orders:
        path = models_dir / order.place
        problem = _find_problem(path, order, pulls) if path.is_file() else "not downloaded"
        known = order.sha256 or (pulls.pinned(order.place) is not None) or order.size
        fine = "right" if known else "whole, but nothing is known to compare it with"
        yield Checked(wish.name, str(order.place), problem is None, problem or fine)


def _find_problem(path: Path, order: Order, pulls: Pulls) -> str | None:
    try:
        read_header(path)
    except GgufError as error:
        return str(error)
    size = path.stat().st_size
    if order.size is not None and size != order.size:
        return f"has {size} bytes, models.yaml says {order.size}"
    pinned = pulls.pinned(order.place)
    expected = order.sha256 or (pinned.sha256 if pinned is not None else None)
    if expected is None:
        return None
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    found = digest.hexdigest()
    return None if found == expected else f"its SHA-256 is {found}, not {expected}"
