"""What callers are told when they cannot have a model, with the numbers that matter."""

from collections.abc import Sequence

from app.core.errors import (
    Draining,
    ModelLoadFailed,
    ModelLoading,
    ModelNotDownloaded,
    ModelNotFound,
    OutOfMemory,
)
from app.pool.policy import Resident
from app.pool.room import Room, total
from app.pool.slot import Slot

_RETRY_AFTER = 5
_GIB, _MIB = 1024**3, 1024**2


def closing() -> Draining:
    return Draining("The server is shutting down.", retry_after=_RETRY_AFTER)


def not_downloaded(name: str) -> ModelNotDownloaded:
    return ModelNotDownloaded(
        f"The model '{name}' is not downloaded yet. Pull it: POST /api/pull with "
        f'{{"model": "{name}"}}, or run: corral pull {name}',
        param="model",
    )


def still_loading(slot: Slot) -> ModelLoading:
    return ModelLoading(
        f"The model '{slot.entry.id}' is still being loaded. Please retry later.",
        retry_after=_RETRY_AFTER,
    )


def cannot_load(slot: Slot, reason: Exception) -> ModelLoadFailed:
    return ModelLoadFailed(f"The model '{slot.entry.id}' cannot be loaded: {reason}")


def file_gone(slot: Slot) -> ModelNotFound:
    return ModelNotFound(
        f"The model '{slot.entry.id}' does not exist any more: its file is gone.", param="model"
    )


def no_place(slot: Slot, residents: Sequence[Resident], limit: Room) -> ModelLoadFailed:
    """For a model that does not fit beside those that never leave."""
    pinned = [resident for resident in residents if resident.is_pinned]
    if len(pinned) >= limit.models:
        return ModelLoadFailed(
            f"There is no place for the model '{slot.entry.id}': every loaded model is pinned. "
            f"Raise LLM_MAX_LOADED_MODELS or pin fewer."
        )
    needed, free = slot.room_hot, limit - total(resident.room for resident in pinned)
    for device, size in needed.within(limit).devices.items():
        if size > free.devices[device]:
            return ModelLoadFailed(
                f"The model '{slot.entry.id}' needs {show_bytes(size)} on {device}, but models may "
                f"take {show_bytes(free.devices[device])} there. Another tensor_split, more "
                f"devices, fewer gpu_layers or a smaller context_window may help."
            )
    kept = sum(resident.memory for resident in pinned)
    beside = f", of which pinned models take {show_bytes(kept)}" if kept else ""
    return ModelLoadFailed(
        f"The model '{slot.entry.id}' needs {show_bytes(needed.memory)} of memory (weights, "
        f"KV cache and buffers), but models may take {show_bytes(limit.memory)}{beside}. A smaller "
        f"context_window or LLM_KV_SIZE needs less; LLM_MEMORY_BUDGET allows more."
    )


def out_of_memory(slot: Slot, residents: Sequence[Resident]) -> OutOfMemory:
    """For a load that failed for want of memory, with nobody left to make room for it."""
    needed = slot.footprint.total if slot.footprint is not None else 0
    taken = sum(resident.memory for resident in residents)
    return OutOfMemory(
        f"There is no memory for the model '{slot.entry.id}' now: it needs "
        f"{show_bytes(needed)}, other models have {show_bytes(taken)}, and the system "
        f"gave no more. A smaller context_window or LLM_KV_SIZE needs less.",
        retry_after=_RETRY_AFTER,
    )


def show_bytes(count: int) -> str:
    """`3.2 GiB`, `410.0 MiB`."""
    return f"{count / _GIB:.1f} GiB" if count >= _GIB else f"{count / _MIB:.1f} MiB"
