"""Models as Ollama's lists and cards show them."""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from app.api.ollama.encode import encode_time
from app.core.models import Capability, ModelInfo
from app.services.models import ModelCard

LATEST = ":latest"
IN_MEMORY = frozenset({"hot", "warm", "draining"})
_NEVER = datetime(2999, 12, 31, tzinfo=UTC)
_TEMPLATE_KEY = "tokenizer.chat_template"
_UNITS = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K"))
_CAPABILITIES: dict[Capability, str] = {
    "completion": "completion",
    "tools": "tools",
    "infill": "insert",
    "reasoning": "thinking",
    "embedding": "embedding",
}


def tag_of(name: str) -> str:
    """The name with a tag, which Ollama's clients look for."""
    return name if ":" in name.rpartition("/")[2] else name + LATEST


def encode_listed(info: ModelInfo) -> dict[str, Any]:
    """An entry of `/api/tags`."""
    return {
        "name": tag_of(info.id),
        "model": tag_of(info.id),
        "modified_at": encode_time(datetime.fromtimestamp(info.created, UTC)),
        "size": info.size,
        "digest": info.sha256 or _name_digest(info),
        "details": encode_details(info),
        "capabilities": encode_capabilities(info),
    }


def encode_running(info: ModelInfo) -> dict[str, Any]:
    """An entry of `/api/ps`."""
    size = info.memory or info.size
    ends = _NEVER if info.expires is None else datetime.fromtimestamp(info.expires, UTC)
    return {
        "name": tag_of(info.id),
        "model": tag_of(info.id),
        "size": size,
        "digest": info.sha256 or _name_digest(info),
        "details": encode_details(info),
        "expires_at": encode_time(ends),
        "size_vram": size if info.gpu_layers else 0,
        "context_length": info.context_window,
    }


def encode_card(card: ModelCard) -> dict[str, Any]:
    """The answer of `/api/show`."""
    info = card.info
    parameters: list[tuple[str, Any]] = [("num_ctx", info.context_window)]
    if card.max_output_tokens is not None:
        parameters.append(("num_predict", card.max_output_tokens))
    parameters += [("stop", text) for text in card.stop]
    parameters += card.sampling.items()
    license_text = card.metadata.get("general.license")
    return {
        "modelfile": _write_modelfile(card, parameters),
        "parameters": "\n".join(f"{name:<30} {value}" for name, value in parameters),
        "template": card.template,
        "system": card.system_prompt,
        "license": license_text if isinstance(license_text, str) else "",
        "details": encode_details(info),
        "model_info": _encode_metadata(card),
        "capabilities": encode_capabilities(info),
        "modified_at": encode_time(datetime.fromtimestamp(info.created, UTC)),
    }


def encode_details(info: ModelInfo) -> dict[str, Any]:
    return {
        "parent_model": info.base or "",
        "format": "gguf",
        "family": info.architecture,
        "families": [info.architecture],
        "parameter_size": _write_count(info.parameters),
        "quantization_level": info.quantization or "unknown",
    }


def encode_capabilities(info: ModelInfo) -> list[str]:
    return [_CAPABILITIES[name] for name in info.capabilities if name in _CAPABILITIES]


def _encode_metadata(card: ModelCard) -> dict[str, Any]:
    """The file's metadata. Arrays are null, as Ollama has them where they are not asked for."""
    told = {
        name: value for name, value in card.metadata.items() if not name.startswith(_TEMPLATE_KEY)
    }
    arrays = dict.fromkeys(card.arrays)
    return {**told, **arrays, "general.parameter_count": card.info.parameters}


def _write_modelfile(card: ModelCard, parameters: list[tuple[str, Any]]) -> str:
    lines = [f"FROM {card.info.base or card.info.id}"]
    if card.info.adapter is not None:
        lines.append(f"ADAPTER {card.info.adapter.file}")
    if card.template:
        lines.append(f'TEMPLATE """{card.template}"""')
    if card.system_prompt:
        lines.append(f'SYSTEM """{card.system_prompt}"""')
    lines += [f"PARAMETER {name} {value}" for name, value in parameters]
    return "\n".join(lines) + "\n"


def _write_count(number: int | None) -> str:
    """7615616512 as `7.6B`."""
    for unit, letter in _UNITS:
        if number is not None and number >= unit:
            return f"{number / unit:.1f}{letter}"
    return "" if number is None else str(number)


def _name_digest(info: ModelInfo) -> str:
    """Stands for this state of the file where its SHA-256 is not known."""
    return sha256(f"{info.id}\n{info.size}\n{info.created}".encode()).hexdigest()
