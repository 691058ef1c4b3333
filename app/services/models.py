"""What is known of the models, by id or alias; loading and unloading them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.catalog.entries import ModelEntry
from app.core.models import ModelInfo
from app.core.requests import SamplingOverrides
from app.core.stats import PoolMemory
from app.pool.refusals import not_downloaded
from app.services.ports import ModelPool


@dataclass(frozen=True, slots=True)
class ModelCard:
    """All that a model's file and the manifest tell. `metadata` is the file's, its arrays left out
    (`arrays` maps them to their length); `template` the source of its chat template. `stop` and
    `max_output_tokens` are the manifest's, or the sidecar's."""

    info: ModelInfo
    path: Path
    metadata: Mapping[str, str | int | float | bool]
    arrays: Mapping[str, int]
    template: str
    system_prompt: str
    sampling: SamplingOverrides
    max_output_tokens: int | None
    stop: tuple[str, ...]


class ModelService:
    def __init__(self, pool: ModelPool) -> None:
        self._pool = pool

    def all(self) -> tuple[ModelInfo, ...]:
        return self._pool.models()

    def memory(self) -> PoolMemory:
        """What the models in memory take, and may take."""
        return self._pool.memory()

    def get(self, name: str) -> ModelInfo:
        """Raises ModelNotFound."""
        return self._pool.find(name)

    def here(self) -> tuple[ModelInfo, ...]:
        """Those whose files are here."""
        return tuple(info for info in self.all() if info.state != "absent")

    def get_here(self, name: str) -> ModelInfo:
        """Raises ModelNotFound, and ModelNotDownloaded."""
        info = self.get(name)
        if info.state == "absent":
            raise not_downloaded(info.id)
        return info

    def describe(self, name: str) -> ModelCard:
        """Raises ModelNotFound."""
        return make_card(self._pool.entry(name), self._pool.find(name))

    async def load(self, name: str, keep_alive: float | None = None) -> ModelInfo:
        """Have a model in memory. Raises what a lease raises."""
        return await self._pool.load(name, keep_alive)

    async def unload(self, name: str) -> None:
        """Have a model out of memory once nobody uses it. Raises ModelNotFound or ModelBusy."""
        await self._pool.unload(name)


def make_card(entry: ModelEntry, info: ModelInfo) -> ModelCard:
    """What the entry of a model and its file's header tell."""
    header = entry.header
    templates = header.chat_templates if header else {}
    named = templates.get(entry.chat_template_name or "", "")
    return ModelCard(
        info=info,
        path=entry.path,
        metadata=header.metadata if header else {},
        arrays=header.arrays if header else {},
        template=entry.chat_template or named or next(iter(templates.values()), ""),
        system_prompt=entry.system_prompt or "",
        sampling=entry.sampling,
        max_output_tokens=entry.max_output_tokens,
        stop=entry.stop,
    )
