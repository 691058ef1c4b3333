"""`NAME.corral.yaml` beside `NAME.gguf`: what is said of a model that is in no manifest.

The keys are those of an entry of `models.yaml` that do not say where the file is.
"""

import io
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.config.manifest import Traits
from app.config.positions import read_document
from app.config.sources import SHARD
from app.core.errors import ConfigurationError

_SUFFIX = ".corral.yaml"
_MARK = "# Written by the API. Reload the models after a change."  # the first line of ours


def sidecar_of(path: Path) -> Path:
    """Where it is, for a model whose first or only file is `path`."""
    match = SHARD.match(path.stem)
    return path.with_name((match["stem"] if match else path.stem) + _SUFFIX)


def read_sidecar(path: Path) -> Traits:
    """What the sidecar at `path` says; nothing where there is none.

    Raises ConfigurationError with one line per mistake: file, line, key and what is wrong.
    """
    if not path.is_file():
        return Traits()
    document = read_document(path)
    try:
        traits = Traits.model_validate(document.value)
    except ValidationError as error:
        lines = [document.explain(dict(item), Traits) for item in error.errors()]
        raise ConfigurationError("\n".join(lines)) from None
    if traits.speculation == "model":
        raise ConfigurationError(f"{path}: speculation: model needs a draft, and so models.yaml")
    return traits


def is_written_here(path: Path) -> bool:
    """Whether `write_sidecar` wrote it; people write theirs themselves."""
    try:
        with path.open("rb") as file:
            return file.readline(len(_MARK) + 2).rstrip() == _MARK.encode()
    except OSError:
        return False


def write_sidecar(path: Path, traits: Traits) -> None:
    """The file appears at once, and says on its first line where it is from."""
    from ruamel.yaml import YAML  # noqa: PLC0415  # few starts need it

    writer: Any = YAML(typ="safe", pure=True)  # untyped library
    writer.default_flow_style = False
    text = io.StringIO()
    writer.dump(traits.model_dump(exclude_unset=True, mode="json"), text)
    written = path.with_name(f".{path.name}.new")
    try:
        written.write_text(f"{_MARK}\n{text.getvalue()}", encoding="utf-8")
        written.replace(path)
    finally:
        written.unlink(missing_ok=True)
