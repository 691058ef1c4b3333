"""The model list."""

from typing import Any

from app.core.models import ModelInfo, TemplateInfo

OWNER = "local"


def encode_model(info: ModelInfo) -> dict[str, Any]:
    """OpenAI's four fields, and what other clients look for beside them: `root` and `parent` as
    vLLM has them."""
    adapter = info.adapter
    return {
        "id": info.id,
        "object": "model",
        "created": info.created,
        "owned_by": OWNER,
        "root": adapter.file if adapter is not None else info.id,
        "parent": info.base,
        "aliases": list(info.aliases),
        "description": info.description,
        "context_window": info.context_window,
        "max_output_tokens": info.max_output_tokens,
        "max_model_len": info.context_window,
        "context_length": info.context_window,
        "capabilities": list(info.capabilities),
        "state": info.state,
        "load_progress": info.load_progress,
        "device": info.device,
        "gpu_layers": info.gpu_layers,
        "chat_template": _encode_template(info.chat_template),
        "lora": _encode_adapters(info),
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


def _encode_template(info: TemplateInfo | None) -> dict[str, Any] | None:
    if info is None:
        return None
    reasoning = {"switch": info.thinking_switch, "efforts": list(info.reasoning_efforts)}
    return {
        "source": info.source,
        "variants": list(info.variants),
        "system_role": info.system,
        "tools": info.tools,
        "parallel_tool_calls": info.parallel_tool_calls,
        "content_parts": info.content_parts,
        "reasoning": reasoning if info.thinking else None,
    }


def _encode_adapters(info: ModelInfo) -> list[dict[str, Any]]:
    """What the parameter `lora` can choose from; of a model with an adapter, that one."""
    chosen = [one for one in info.adapters if info.adapter in (None, one)]
    return [
        {"id": info.adapters.index(one), "name": one.name, "scale": one.scale} for one in chosen
    ]


def encode_models(infos: tuple[ModelInfo, ...]) -> dict[str, Any]:
    return {"object": "list", "data": [encode_model(info) for info in infos]}
