"""What pins a model in models.yaml: the commit, the size and the digest of its file."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from app.catalog import hub
from app.catalog.pulls import Pulls
from app.config.manifest import Companion, Entry, Manifest, resolve_source
from app.config.pins import Pins
from app.config.sources import HubSource, find_parts, is_remote, parse_remote
from app.core.errors import BadRequest

_CHUNK = 8 * 1024 * 1024

Resolve = Callable[[HubSource], hub.HubFile]


def find_pins(
    manifest: Manifest, base: Path, models_dir: Path, resolve: Resolve, *, upgrades: bool
) -> Pins:
    """What is still to be said of each entry and companion; the built-in model needs nothing.

    `upgrades`: what branches and tags mean now, instead of the revision that is there. Raises
    BadRequest for a file that has to be pulled first, and what `resolve` raises.
    """
    pins: dict[tuple[int | str, ...], dict[str, str | int]] = {}
    for index, entry in enumerate(manifest.models):
        places: list[tuple[tuple[int | str, ...], Entry | Companion]] = [((), entry)]
        for place, said in [*places, *entry.companions()]:
            found = _pin(said, base, models_dir, resolve, upgrades=upgrades)
            fields = type(said).model_fields
            new = {
                key: value
                for key, value in found.items()
                if key in fields and getattr(said, key) != value
            }
            if new:
                pins["models", index, *place] = new
    return pins


def _pin(
    said: Entry | Companion, base: Path, models_dir: Path, resolve: Resolve, *, upgrades: bool
) -> dict[str, str | int]:
    if is_remote(said.source):
        source = parse_remote(said.source)
        if isinstance(source, HubSource):
            return _pin_hub(said, source, resolve, upgrades=upgrades)
        pinned = [Pulls(models_dir).pinned(part.place) for part in source.parts()]
        files = [(one.size, one.sha256) for one in pinned if one is not None]
        if len(files) < len(pinned):
            raise BadRequest(
                f"{said.source}: a web server tells no digest: `corral pull` it before you lock it."
            )
        return _sum_up(files)
    path = resolve_source(said.source, base, models_dir)
    if path is None:
        return {}
    if said.sha256 is not None and not upgrades:
        return {}
    return _sum_up([_read(part) for part in find_parts(path)])


def _pin_hub(
    said: Entry | Companion, source: HubSource, resolve: Resolve, *, upgrades: bool
) -> dict[str, str | int]:
    kept = said.revision if isinstance(said, Entry) else None
    is_locked = said.sha256 is not None and (kept is not None or isinstance(said, Companion))
    if is_locked and not upgrades:
        return {}
    if kept is not None and not upgrades:
        source = HubSource(source.repository, source.file, kept)
    first = resolve(source)
    revision = first.revision or source.revision
    others = [
        resolve(HubSource(part.repository, part.file, revision)) for part in source.parts()[1:]
    ]
    files = [(one.size, one.sha256) for one in (first, *others)]
    return {"revision": revision, **_sum_up(files)}


def _sum_up(
    files: list[tuple[int | None, str | None]] | list[tuple[int, str]],
) -> dict[str, str | int]:
    """A digest is for a model in one file; a size for all together."""
    said: dict[str, str | int] = {}
    sizes = [size for size, _ in files if size is not None]
    if len(sizes) == len(files):
        said["size"] = sum(sizes)
    digest = files[0][1]
    if len(files) == 1 and digest is not None:
        said["sha256"] = digest
    return said


def _read(path: Path) -> tuple[int, str]:
    try:
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
            return file.tell(), digest.hexdigest()
    except OSError as error:
        raise BadRequest(f"{path} cannot be read: {error.strerror}.") from None
