"""What is known about a model, loaded or not."""

from dataclasses import dataclass, replace
from typing import Literal

from app.core.adapters import AdapterInfo
from app.core.errors import ModelNotFound

ModelState = Literal["absent", "cold", "loading", "hot", "warm", "draining", "failed"]
"""`absent`: named in models.yaml, not downloaded yet. `warm`: only its weights are in memory."""

Capability = Literal["chat", "completion", "embedding", "infill", "tools", "reasoning", "rerank"]


# what adapters do not change
_BASE_ONLY: tuple[Capability, ...] = ("embedding", "rerank")

TemplateSource = Literal["gguf", "manifest", "chatml"]


@dataclass(frozen=True, slots=True)
class TemplateInfo:
    """What trying a model's chat template has shown.

    `source`: the model's file, the manifest, or ChatML because the file has none. `variants`: the
    names of the file's templates. `tools`: who tells the model of tools, its template or `text`
    that the server adds; None where neither works. `content_parts`: the template itself joins a
    message's parts. `thinking_switch`: the variable that turns thinking on and off.
    `reasoning_efforts`: those that the template tells apart.
    """

    source: TemplateSource
    variants: tuple[str, ...]
    system: bool
    tools: Literal["template", "text"] | None
    parallel_tool_calls: bool
    content_parts: bool
    thinking: bool
    thinking_switch: str | None
    reasoning_efforts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A row of the model list. Sizes in bytes, contexts in tokens, `created` in Unix seconds.

    What only a loaded model can tell (`gpu_layers`, `device`, `chat_template`) is None while it is
    cold.
    `memory`: bytes that a loaded model takes. `expires`: when it leaves memory unless it is used,
    in Unix seconds; None where that never happens, or while it is in use. `pinned`: it never does.
    `leases`: requests that hold it. `load_progress`: the share that is loaded, 0 to 1, where that
    is known; `pull_progress`: the share that is downloaded, while a request has it downloaded.
    `sha256` of the file is None where the manifest does not tell it.
    `context_window` is what a request may use here, `context_trained` what the model declares.
    `adapters` can be chosen for it. A row may be one of them, `adapter`, on the model `base`.
    """

    id: str
    created: int
    state: ModelState
    size: int
    architecture: str
    context_window: int
    max_output_tokens: int
    context_trained: int
    parameters: int | None = None
    vocabulary_size: int | None = None
    embedding_size: int | None = None
    quantization: str | None = None
    description: str | None = None
    sha256: str | None = None
    aliases: tuple[str, ...] = ()
    capabilities: tuple[Capability, ...] = ()
    device: str | None = None
    gpu_layers: int | None = None
    chat_template: TemplateInfo | None = None
    adapters: tuple[AdapterInfo, ...] = ()
    adapter: AdapterInfo | None = None
    base: str | None = None
    memory: int | None = None
    expires: float | None = None
    load_progress: float | None = None
    pull_progress: float | None = None
    pinned: bool = False
    leases: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """What is done before a model can answer, and how far it is, 0 to 1 where that is known."""

    stage: Literal["pulling", "loading"]
    share: float | None = None


def with_adapter(info: ModelInfo, name: str) -> ModelInfo:
    """The row of a model with one of its adapters: a model of its own, in its base's state.

    Raises ModelNotFound where it has none of that name (any more).
    """
    adapter = next((adapter for adapter in info.adapters if adapter.name == name), None)
    if adapter is None:
        raise ModelNotFound(f"The model '{info.id}:{name}' does not exist.", param="model")
    return replace(
        info,
        id=f"{info.id}:{name}",
        created=adapter.created or info.created,
        size=info.size + adapter.size,
        sha256=adapter.sha256,
        aliases=tuple(f"{alias}:{name}" for alias in info.aliases),
        capabilities=tuple(one for one in info.capabilities if one not in _BASE_ONLY),
        adapter=adapter,
        base=info.id,
    )
