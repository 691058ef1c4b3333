"""What is known about a model, loaded or not."""

from dataclasses import dataclass
from typing import Literal

ModelState = Literal["cold", "loading", "hot", "draining", "failed"]
Capability = Literal["chat", "completion", "embedding", "infill", "tools", "reasoning"]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A row of the model list. Sizes in bytes, contexts in tokens, `created` in Unix seconds.

    Figures that only a loaded model can tell (`gpu_layers`, `device`) are None while it is cold.
    `context_window` is what a request may use here, `context_trained` what the model declares.
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
    aliases: tuple[str, ...] = ()
    capabilities: tuple[Capability, ...] = ()
    device: str | None = None
    gpu_layers: int | None = None
    error: str | None = None
