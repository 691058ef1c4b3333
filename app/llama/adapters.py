"""LoRA adapters: loaded beside a model's weights, which own them, and applied to a context."""

import ctypes
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.core.adapters import AdapterSet
from app.core.errors import EngineFailed, ModelLoadFailed
from app.llama.bindings import lib
from app.llama.library import listen

# the end of llama.cpp's line
_REASON = re.compile(r"failed to apply lora adapter: (.*)|: (failed to open .*)")


def load_adapter(model: Any, path: Path) -> Any:
    """Read an adapter for a model (its handle), which frees it with itself.

    Raises ModelLoadFailed with the reason only, where it does not belong to the model.
    """
    with listen(is_quiet=True) as lines:  # it tells of every tensor
        handle = lib.llama_adapter_lora_init(model, str(path).encode())
    if not handle:
        raise ModelLoadFailed(_find_reason(lines))
    if lib.llama_adapter_get_alora_n_invocation_tokens(handle):
        lib.llama_adapter_lora_free(handle)
        raise ModelLoadFailed("it is an activated LoRA (aLoRA), which is not supported")
    return handle


def apply_adapters(context: Any, loaded: Mapping[str, Any], adapters: AdapterSet) -> None:
    """From the next decode on; `loaded` are the handles by name. llama.cpp plans its graph anew
    then, where they are others than before."""
    count = len(adapters)
    handles = (lib.llama_adapter_lora_p_ctypes * count)(*(loaded[one.name] for one in adapters))
    scales = (ctypes.c_float * count)(*(one.scale for one in adapters))
    if lib.llama_set_adapters_lora(context, handles, count, scales):
        raise EngineFailed(f"llama.cpp does not apply the adapters {adapters}.")


def _find_reason(lines: list[str]) -> str:
    found = [match[1] or match[2] for line in lines if (match := _REASON.search(line))]
    return found[-1].strip() if found else "its log lines say why"
