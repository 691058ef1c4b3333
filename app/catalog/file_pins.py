"""What files of the models directory were when they came there, checked: kept beside them."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

PINS = ".corral/pulled"
"""Inside the models directory; it changes when a file comes."""


@dataclass(frozen=True, slots=True)
class Pinned:
    """What a file was when it came. `revision`: the hub's commit."""

    size: int
    sha256: str
    revision: str | None = None


class FilePins:
    """Files are named by their place inside the models directory."""

    def __init__(self, models_dir: Path) -> None:
        self._dir = models_dir

    def find(self, place: Path) -> Pinned | None:
        """What is known of a file that is still there unchanged in size."""
        kept = _read(self._path_of(place))
        return self._compare(place, kept) if kept is not None else None

    def write(self, place: Path, pinned: Pinned) -> None:
        path = self._path_of(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        time = (self._dir / place).stat().st_mtime_ns
        path.write_text(json.dumps({**asdict(pinned), "place": str(place), "time": time}))

    def find_digest(self, digest: str) -> Path | None:
        """A file of that SHA-256 that was not touched since."""
        for kept in self._all():
            if kept.get("sha256") == digest and isinstance(kept.get("place"), str):
                path = self._dir / kept["place"]
                is_same = self._compare(Path(kept["place"]), kept) is not None
                if is_same and path.stat().st_mtime_ns == kept.get("time"):
                    return path
        return None

    def _all(self) -> Iterator[dict[str, Any]]:
        for path in (self._dir / PINS).glob("*.json"):
            if (kept := _read(path)) is not None:
                yield kept

    def _compare(self, place: Path, kept: dict[str, Any]) -> Pinned | None:
        try:
            found = Pinned(kept["size"], kept["sha256"], kept["revision"])
            is_same = (self._dir / place).stat().st_size == found.size
        except (OSError, KeyError, TypeError):
            return None
        return found if is_same else None

    def _path_of(self, place: Path) -> Path:
        key = sha256(place.as_posix().encode()).hexdigest()[:16]
        return self._dir / PINS / f"{key}.json"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        kept: Any = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return cast("dict[str, Any]", kept) if isinstance(kept, dict) else None
