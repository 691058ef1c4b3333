"""LoRA adapters with random weights, and models that have them merged into their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

from scripts.make_gguf.architecture import Architecture, Dimensions
from scripts.make_gguf.transformers import Shape

Matrix = NDArray[np.float32]

_INVOCATION = "adapter.alora.invocation_tokens"
_UINT32_ARRAY = (gguf.GGUFValueType.ARRAY, gguf.GGUFValueType.UINT32)

PROJECTIONS = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
"""The matrices of a layer that adapters are usually trained for."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """Low-rank changes: `pairs` maps a tensor's name to A of shape (rank, inputs) and B of shape
    (outputs, rank)."""

    architecture: str
    alpha: float
    pairs: Mapping[str, tuple[Matrix, Matrix]]

    def deltas(self, scale: float = 1.0) -> dict[str, Matrix]:
        """What it adds to each tensor, of shape (outputs, inputs)."""
        return {
            name: (b @ a * np.float32(scale * self.alpha / len(a)))
            for name, (a, b) in self.pairs.items()
        }


def make_adapter(
    model: Shape | Architecture | Path,
    *,
    rank: int = 4,
    alpha: float = 8.0,
    strength: float = 1.0,
    targets: Sequence[str] = PROJECTIONS,
    seed: int = 0,
) -> Adapter:
    """An adapter for every layer's `targets` of a model, or of the one in a file. At `strength` 1
    its changes are as large as random weights of the model themselves."""
    if isinstance(model, Path):
        name, tensors = _read_tensors(model)
    else:
        architecture = model.architecture if isinstance(model, Shape) else model
        name, tensors = architecture.name, dict(architecture.all_tensors(0))
    rng = np.random.default_rng(seed)
    wanted = {f"{target}.weight" for target in targets}
    pairs: dict[str, tuple[Matrix, Matrix]] = {}
    for tensor, shape in tensors.items():
        if tensor.split(".", 2)[-1] not in wanted:
            continue
        outputs, inputs = shape[-2:]
        a = rng.standard_normal((rank, inputs), dtype=np.float32) * np.float32(inputs**-0.5)
        spread = strength * rank**0.5 / alpha
        b = rng.standard_normal((outputs, rank), dtype=np.float32) * np.float32(spread)
        pairs[tensor] = a, b
    return Adapter(name, alpha, pairs)


def write_adapter(path: Path, adapter: Adapter, *, invocation: Sequence[int] = ()) -> Path:
    """Write one GGUF file and return its path. `invocation`: tokens that switch it on, which make
    it an activated LoRA."""
    writer = gguf.GGUFWriter(path, adapter.architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, adapter.alpha)
    if invocation:
        writer.add_key_value(_INVOCATION, list(invocation), *_UINT32_ARRAY)
    for name, (a, b) in adapter.pairs.items():
        writer.add_tensor(f"{name}.lora_a", a)
        writer.add_tensor(f"{name}.lora_b", b)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _read_tensors(path: Path) -> tuple[str, dict[str, Dimensions]]:
    """A file's architecture, and its tensors by name and size."""
    reader = gguf.GGUFReader(path)
    tensors = {
        tensor.name: tuple(int(size) for size in tensor.shape[::-1]) for tensor in reader.tensors
    }
    return str(reader.fields["general.architecture"].contents()), tensors
