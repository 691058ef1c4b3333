"""Models and downloads as operators see them."""

from typing import Any

from app.api.errors import describe_error
from app.core.models import ModelInfo
from app.core.pulls import PullJob
from app.core.stats import PoolMemory


def encode_model(info: ModelInfo) -> dict[str, Any]:
    return {
        "id": info.id,
        "aliases": list(info.aliases),
        "state": info.state,
        "size": info.size,
        "memory": info.memory,
        "context_window": info.context_window,
        "max_output_tokens": info.max_output_tokens,
        "capabilities": list(info.capabilities),
        "architecture": info.architecture,
        "parameters": info.parameters,
        "quantization": info.quantization,
        "device": info.device,
        "gpu_layers": info.gpu_layers,
        "pinned": info.pinned,
        "leases": info.leases,
        "expires_at": info.expires,
        "created_at": info.created,
        "error": info.error,
    }


def encode_models(
    infos: tuple[ModelInfo, ...], memory: PoolMemory, max_loaded: int
) -> dict[str, Any]:
    return {
        "models": [encode_model(info) for info in infos],
        "memory": {"used": sum(memory.models.values()), "budget": memory.budget},
        "max_loaded_models": max_loaded,
    }


def encode_pull(job: PullJob) -> dict[str, Any]:
    return {
        "id": job.id,
        "model": job.model,
        "name": job.name,
        "stage": job.stage,
        "done": job.done,
        "size": job.size,
        "files": [
            {
                "file": file.file,
                "stage": file.stage,
                "done": file.done,
                "size": file.size,
                "sha256": file.sha256,
            }
            for file in job.files
        ],
        "created_at": job.created,
        "ended_at": job.ended,
        "error": describe_error(job.error) if job.error is not None else None,
    }
