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
    ends = re.compile(rf"(^|[-_./]){re.escape(wanted.quant or _USUAL)}$", re.IGNORECASE)
    exact = next((file for file in models if ends.search(_stem_of(file))), None)
    return exact or (models[0] if models and wanted.quant is None else None)


def find_entry(name: str, entries: Iterable[ModelEntry]) -> ModelEntry | None:
    """The model that is here, or was named in models.yaml, and that such a name means."""
    wanted = read_hub_name(name)
    if wanted is None:
        return None
    found: dict[str, ModelEntry] = {}
    for entry in entries:
        _, marker, file = entry.path.as_posix().rpartition(f"/{wanted.repository}/")
        if marker:
            found[file] = entry
    file = choose_file(wanted, found)
    return found[file] if file is not None else None


def _is_model(file: str) -> bool:
    if not file.lower().endswith(".gguf") or _NO_MODEL.search(file.rpartition("/")[2]):
        return False
    part = SHARD.match(file[: -len(".gguf")])
    return part is None or int(part["number"]) == 1


def _stem_of(file: str) -> str:
    stem = file[: -len(".gguf")]
    part = SHARD.match(stem)
    return part["stem"] if part is not None else stem
