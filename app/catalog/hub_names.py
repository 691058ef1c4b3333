"""Models of the hub as Ollama names them: `hf.co/OWNER/REPO`, with `:QUANT` for one file of it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from app.catalog.entries import ModelEntry
from app.config.sources import SHARD

_NAME = re.compile(
    r"(?:hf\.co|huggingface\.co)/(?P<repository>\w[\w.-]*/\w[\w.-]*)(?::(?P<quant>\w[\w.-]*))?"
)
_LATEST = "latest"
_USUAL = "Q4_K_M"
_NO_MODEL = re.compile(r"(^|[-_.])(mmproj|imatrix)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HubName:
    """`quant`: how the file is quantized, in any case; None for the usual one."""

    repository: str
    quant: str | None = None

    @property
    def source(self) -> str:
        """Where all that it may mean lies, as sources are written."""
        return f"hf://{self.repository}/"


def read_hub_name(name: str) -> HubName | None:
    """None for a name of another kind."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    quant = match["quant"]
    return HubName(match["repository"], None if quant in {None, _LATEST} else quant)


def models_among(files: Iterable[str]) -> list[str]:
    """The files of a repository that are models; of one in parts the first."""
    return sorted(file for file in files if _is_model(file))


def choose_file(wanted: HubName, files: Iterable[str]) -> str | None:
    """The file of a repository that a name means: without a quantization Q4_K_M, else whichever
    comes first."""
    models = models_among(files)
    exact = next((file for file in models if _is_exact(wanted, file)), None)
    return exact or (models[0] if models and wanted.quant is None else None)


def find_entry(name: str, entries: Iterable[ModelEntry]) -> ModelEntry | None:
    """The model that is here, or was named in models.yaml, and that such a name means."""
    wanted = read_hub_name(name)
    if wanted is None:
        return None
    found = {file: entry for entry in entries if (file := _file_of(wanted, entry))}
    file = choose_file(wanted, found)
    return found[file] if file is not None else None


def is_exact_name(name: str, entry: ModelEntry) -> bool:
    """Whether such a name means this model for itself, not for want of the usual one."""
    wanted = read_hub_name(name)
    file = _file_of(wanted, entry) if wanted is not None else ""
    return wanted is not None and bool(file) and _is_exact(wanted, file)


def _file_of(wanted: HubName, entry: ModelEntry) -> str:
    """Its place in the repository that is named; empty for a model from elsewhere."""
    _, marker, file = entry.path.as_posix().rpartition(f"/{wanted.repository}/")
    return file if marker else ""


def _is_exact(wanted: HubName, file: str) -> bool:
    ends = rf"(^|[-_./]){re.escape(wanted.quant or _USUAL)}$"
    return re.search(ends, _stem_of(file), re.IGNORECASE) is not None


def _is_model(file: str) -> bool:
    if not file.lower().endswith(".gguf") or _NO_MODEL.search(file.rpartition("/")[2]):
        return False
    part = SHARD.match(file[: -len(".gguf")])
    return part is None or int(part["number"]) == 1


def _stem_of(file: str) -> str:
    stem = file[: -len(".gguf")]
    part = SHARD.match(stem)
    return part["stem"] if part is not None else stem
