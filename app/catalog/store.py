"""Changes the files of the models directory, and no others."""

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.catalog.entries import find_parts
from app.config.manifest import Traits
from app.config.sidecar import is_written_here, sidecar_of, write_sidecar
from app.core.errors import BadRequest, InternalError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@+-]*(/[A-Za-z0-9_][A-Za-z0-9_.:@+-]*){0,7}")
_MAX_NAME = 200
_SUFFIX = ".gguf"
_HIDDEN = ".deleted"
_NEW = ".new"
_PART = re.compile(r"-\d{5}-of-\d{5}$")


@dataclass(frozen=True, slots=True)
class Hidden:
    """Files that are about to be deleted: found by nobody, and not gone yet."""

    paths: tuple[Path, ...]

    def restore(self) -> None:
        for path in self.paths:
            with suppress(OSError):
                _hidden(path).rename(path)

    def remove(self) -> None:
        for path in self.paths:
            with suppress(OSError):
                _hidden(path).unlink(missing_ok=True)


class ModelStore:
    def __init__(self, models_dir: Path) -> None:
        self._dir = models_dir

    def hide(self, paths: Sequence[Path]) -> Hidden:
        """Take a model's files out of sight, as far as they are there. Raises BadRequest where one
        is elsewhere; a link is what is taken, never what it leads to."""
        for path in paths:
            if not self._holds(path):
                raise BadRequest(
                    f"The file {path.name} is not in the models directory, so it is not deleted.",
                    param="model",
                )
        hidden: list[Path] = []
        try:
            for path in filter(os.path.lexists, paths):
                path.rename(_hidden(path))
                hidden.append(path)
        except OSError as error:
            Hidden(tuple(hidden)).restore()
            raise _failed("deleted", error) from None
        return Hidden(tuple(hidden))

    def copy(
        self,
        files: Mapping[str, Path],
        name: str,
        traits: Traits | None = None,
        replaced: Sequence[Path] = (),
    ) -> tuple[Path, ...]:
        """Give a model's files another name; where they are then. What is in the models directory
        takes no more room.

        `files`: each by its ending, which is empty for a model in one file. `traits` are written
        beside them. `replaced` are a model's files that may be overwritten, and leave. Raises
        BadRequest for a name that no file can have or one has already.
        """
        places = self._places_of(name, files)
        made: list[Path] = []
        try:
            places[0].parent.mkdir(parents=True, exist_ok=True)
            for path, place in zip(files.values(), places, strict=True):
                if place in replaced:
                    self._replace_file(path, place)
                else:
                    self._copy_file(path, place)
                    made.append(place)
            self._describe(sidecar_of(places[0]), traits)
        except FileExistsError:
            _unlink(made)
            raise BadRequest(f"There is already a file for the model '{name}'.") from None
        except OSError as error:
            _unlink(made)
            raise _failed("copied", error) from None
        _unlink(path for path in replaced if path not in places)
        return tuple(places)

    def files_of(self, paths: Sequence[Path]) -> tuple[Path, ...]:
        """All files of a model: its parts, and its sidecar where it has one."""
        sidecar = sidecar_of(paths[0])
        return (*paths, sidecar) if sidecar.is_file() else tuple(paths)

    def is_made(self, paths: Sequence[Path]) -> bool:
        """Whether a model was made here, by a copy that has settings of its own."""
        return self._holds(paths[0]) and is_written_here(sidecar_of(paths[0]))

    def place_of(self, path: Path) -> Path:
        """A path as seen from the models directory."""
        return path.relative_to(self._dir)

    def find(self, place: str) -> tuple[Path, ...]:
        """The parts of a file, named by its path inside the models directory or as a whole.

        Raises BadRequest for what is not there or elsewhere.
        """
        path = self._dir / place
        parts = find_parts(path) if path.suffix == _SUFFIX else ()
        try:
            is_here = all(self._holds(part) and part.is_file() for part in parts)
        except OSError:  # a name that is too long, a directory that is closed to us
            is_here = False
        if not parts or not is_here:
            raise BadRequest(
                f"There is no file '{place[:200]}' that ends with {_SUFFIX} in the models "
                f"directory.",
                param="modelpath",
            )
        return parts

    def _holds(self, path: Path) -> bool:
        """Whether the entry of this path is in the models directory, wherever it may lead."""
        return path.parent.resolve().is_relative_to(self._dir.resolve())

    def _places_of(self, name: str, endings: Iterable[str]) -> list[Path]:
        is_hidden = name.rpartition("/")[2].lower().startswith("mmproj")
        is_taken = name.endswith(_SUFFIX) or _PART.search(name) is not None or is_hidden
        if not _NAME.fullmatch(name) or len(name) > _MAX_NAME or is_taken:
            raise BadRequest(
                f"'{name[:_MAX_NAME]}' cannot be the name of a model: letters, digits and ._:@+- "
                f"are taken, and / between them."
            )
        places = [self._dir / f"{name}{ending}{_SUFFIX}" for ending in endings]
        if not all(self._holds(place) for place in places):
            raise BadRequest(f"The model '{name}' would not be in the models directory.")
        return places

    def _describe(self, sidecar: Path, traits: Traits | None) -> None:
        """What lies there of a model that is gone must not speak of another."""
        if traits is None:
            sidecar.unlink(missing_ok=True)
        else:
            write_sidecar(sidecar, traits)

    def _replace_file(self, path: Path, place: Path) -> None:
        """Over another file, at once."""
        if path.samefile(place):
            return
        beside = place.with_name(place.name + _NEW)
        beside.unlink(missing_ok=True)
        self._copy_file(path, beside)
        beside.replace(place)

    def _copy_file(self, path: Path, place: Path) -> None:
        """Never over another file. A hard link where both are in the models directory."""
        source = path.resolve()
        if source.is_relative_to(self._dir.resolve()):
            try:
                os.link(source, place)
            except FileExistsError:
                raise
            except (OSError, NotImplementedError):  # not on this disk, or not one more: a copy
                pass
            else:
                return
        if os.path.lexists(place):
            raise FileExistsError
        beside = place.with_name(place.name + _NEW)
        try:
            shutil.copyfile(source, beside)
            beside.rename(place)
        finally:
            beside.unlink(missing_ok=True)


def find_endings(paths: Sequence[Path]) -> dict[str, Path]:
    """The files of a model by what their names end with: `-00001-of-00002`, or nothing."""
    return {part[0] if (part := _PART.search(path.stem)) else "": path for path in paths}


def _hidden(path: Path) -> Path:
    return path.with_name(path.name + _HIDDEN)


def _unlink(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _failed(what: str, error: OSError) -> InternalError:
    return InternalError(f"The model cannot be {what}: {error.strerror}.")
