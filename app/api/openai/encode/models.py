"""The model list."""

from typing import Any

from app.core.models import ModelInfo

OWNER = "corral"


def encode_model(info: ModelInfo) -> dict[str, Any]:
    """OpenAI's four fields, and what other clients look for beside them."""
    return {
        "id": info.id,
        "object": "model",
        "created": info.created,
        "owned_by": OWNER,
        "aliases": list(info.aliases),
        "description": info.description,
        "context_window": info.context_window,
        "max_output_tokens": info.max_output_tokens,
        "max_model_len": info.context_window,
        "context_length": info.context_window,
        "capabilities": list(info.capabilities),
        "state": info.state,
        "device": info.device,
        "gpu_layers": info.gpu_layers,
        "error": info.error,
        "meta": {
            "n_ctx_train": info.context_trained,
            "n_params": info.parameters,
            "size": info.size,
            "n_vocab": info.vocabulary_size,
            "n_embd": info.embedding_size,
            "quantization": info.quantization,
            "architecture": info.architecture,
        },
    }


def encode_models(infos: tuple[ModelInfo, ...]) -> dict[str, Any]:
    return {"object": "list", "data": [encode_model(info) for info in infos]}
