"""The LoRA adapters that the manifest names: their files, looked at before llama.cpp sees them."""

from dataclasses import dataclass, replace
from pathlib import Path

from app.catalog.gguf import GgufError, GgufHeader, read_header
from app.config.manifest import Lora, Manifest, resolve_source
from app.config.sources import is_remote
from app.core.adapters import AdapterInfo
from app.core.errors import ConfigurationError

_INVOCATION = "adapter.alora.invocation_tokens"


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """`error` says why the file cannot be used; `is_here`: it need not be pulled."""

    path: Path
    info: AdapterInfo
    error: str | None = None
    is_here: bool = True

    @property
    def sha256(self) -> str | None:
        return self.info.sha256


def find_adapters(
    manifest: Manifest, index: int, base: Path, models_dir: Path, header: GgufHeader | None
) -> tuple[AdapterFile, ...]:
    """The adapters of an entry. `header`: of the model's file.

    Raises ConfigurationError where a file is absent that cannot be pulled.
    """
    found: list[AdapterFile] = []
    for place, said in enumerate(manifest.models[index].lora):
        path = resolve_source(said.source, base, models_dir)
        assert path is not None  # noqa: S101 - no adapter is built in
        if not path.is_file() and not is_remote(said.source):
            where = manifest.locate("models", index, "lora", place, "source")
            raise ConfigurationError(f"{where}: there is no file {path}")
        found.append(_look_at(path, said, header))
    return tuple(found)


def _look_at(path: Path, said: Lora, model: GgufHeader | None) -> AdapterFile:
    info = AdapterInfo(
        said.id,
        path.name,
        size=0,
        created=0,
        scale=said.scale,
        sha256=said.sha256.lower() if said.sha256 is not None else None,
    )
    if not path.is_file():
        return AdapterFile(path, info, is_here=False)
    stat = path.stat()
    info = replace(info, size=stat.st_size, created=int(stat.st_mtime))
    try:
        return AdapterFile(path, info, _find_problem(read_header(path), model))
    except GgufError as error:
        return AdapterFile(path, info, str(error))


def _find_problem(header: GgufHeader, model: GgufHeader | None) -> str | None:
    if header.text("general.type") != "adapter" or header.text("adapter.type") != "lora":
        return "is not a LoRA adapter"
    if _INVOCATION in header.arrays:
        return "is an activated LoRA (aLoRA), which is not supported"
    if model is None:
        return None
    if header.architecture != model.architecture:
        return f"is for models of the architecture {header.architecture}, not {model.architecture}"
    return None if model.is_generator else "has no use: the model does not generate"
