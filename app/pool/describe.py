"""What the model list says of a model, from its file's header and the settings that apply."""

import math
from dataclasses import dataclass
from typing import get_args

from app.catalog.entries import ModelEntry
from app.catalog.gguf import GgufHeader
from app.chat.thinking import spot_thought
from app.config.engine_settings import DEFAULT_CONTEXT_CAP
from app.config.hardware import usable_memory
from app.config.settings import Settings
from app.core.models import Capability, ModelInfo, ModelState, TemplateInfo

EMBEDDING_CAP = 4096
# parts of a split cache are whole multiples of this many cells
_PART = 256
# bytes of a cell where the header does not tell: those of a model of 7 billion parameters
_USUAL_CELL = 128 * 1024
_INFILL_KEYS = ("tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Token counts that a model is loaded with. `kv` cells are shared by all its sequences, or
    split among them."""

    context: int
    kv: int
    max_output: int
    embedding: int


def decide_sizes(entry: ModelEntry, settings: Settings) -> Sizes:
    """The manifest's word, else the setting, else the model's own within a sensible cap.

    One request can never use more than the KV cache has.
    """
    trained = entry.header.context_trained if entry.header else 0
    context = (
        entry.context_window
        or settings.context_size
        or min(trained or DEFAULT_CONTEXT_CAP, DEFAULT_CONTEXT_CAP)
    )
    if settings.kv_unified:
        kv = settings.kv_size or context
        context = min(context, kv)
    else:
        sequences = entry.max_sequences or settings.max_sequences
        part = _part_of_cache(context, sequences, entry.header, settings.kv_size)
        kv, context = part * sequences, min(context, part)
    longest_input = settings.embedding_context_size or min(EMBEDDING_CAP, context)
    is_encoder = entry.header is not None and not entry.header.is_causal
    return Sizes(
        context=context,
        kv=kv,
        max_output=min(entry.max_output_tokens or context, context),
        # an encoder has learned positions: there is nothing beyond what it was trained on
        embedding=min(longest_input, trained) if is_encoder and trained else longest_input,
    )


def _part_of_cache(context: int, sequences: int, header: GgufHeader | None, kv: int | None) -> int:
    """Cells of one sequence in a split cache: a whole context, where half of the memory has room
    for so many. llama.cpp rounds up too."""
    if kv is None:
        cell = (header.cell_size if header else None) or _USUAL_CELL
        kv = min(context * sequences, usable_memory() // 2 // cell)
    return max(1, math.ceil(kv / sequences / _PART)) * _PART


def describe(
    entry: ModelEntry, settings: Settings, state: ModelState, error: str | None = None
) -> ModelInfo:
    """A row of the model list for a model that need not be loaded."""
    sizes, header = decide_sizes(entry, settings), entry.header
    return ModelInfo(
        id=entry.id,
        created=entry.created,
        state=state,
        size=entry.size,
        architecture=header.architecture if header else "unknown",
        context_window=sizes.context,
        max_output_tokens=sizes.max_output,
        context_trained=header.context_trained if header else 0,
        parameters=entry.parameters,
        vocabulary_size=header.vocabulary_size if header else None,
        embedding_size=header.embedding_size if header else None,
        quantization=header.quantization if header else None,
        description=header.text("general.description") if header else None,
        sha256=entry.sha256,
        aliases=entry.aliases,
        capabilities=_capabilities(entry, header) if header else (),
        pinned=entry.pin,
        adapters=tuple(adapter.info for adapter in entry.lora),
        error=error or entry.error,
    )


def adjust_capabilities(
    guessed: tuple[Capability, ...], template: TemplateInfo | None
) -> tuple[Capability, ...]:
    """What a loaded model can do: its template was tried. Without one that works, no chat."""
    can: dict[Capability, bool] = {
        "chat": template is not None,
        "tools": template is not None and template.tools is not None,
        "reasoning": template is not None and template.thinking,
    }
    order: tuple[Capability, ...] = get_args(Capability)
    return tuple(name for name in order if can.get(name, name in guessed))


def _capabilities(entry: ModelEntry, header: GgufHeader) -> tuple[Capability, ...]:
    """As far as the header tells; what a template can do is only known once it was tried."""
    if header.is_encoder_decoder:
        return ()
    found: list[Capability] = []
    template = entry.chat_template or "".join(header.chat_templates.values())
    if header.is_generator:
        found.extend(("chat", "completion", "tools"))
        if spot_thought(template) is not None:
            found.append("reasoning")
        if any(key in header.metadata for key in _INFILL_KEYS):
            found.append("infill")
    if entry.serves_embeddings:
        found.append("embedding")
    if header.is_reranker:
        found.append("rerank")
    return tuple(found)
