"""LoRA adapters with random weights, and models that have them merged into their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

from scripts.make_gguf.architecture import Architecture
from scripts.make_gguf.transformers import Shape

Matrix = NDArray[np.float32]

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
    model: Shape | Architecture,
    *,
    rank: int = 4,
    alpha: float = 8.0,
    strength: float = 1.0,
    targets: Sequence[str] = PROJECTIONS,
    seed: int = 0,
) -> Adapter:
    """An adapter for every layer's `targets`. At `strength` 1 its changes are as large as random
    weights of the model themselves."""
    architecture = model.architecture if isinstance(model, Shape) else model
    rng = np.random.default_rng(seed)
    pairs: dict[str, tuple[Matrix, Matrix]] = {}
    for number, layer in enumerate(architecture.layers):
        for part, (*_, outputs, inputs) in _matrices(layer, targets):
            a = rng.standard_normal((rank, inputs), dtype=np.float32) * np.float32(inputs**-0.5)
            spread = strength * rank**0.5 / alpha
            b = rng.standard_normal((outputs, rank), dtype=np.float32) * np.float32(spread)
            pairs[f"blk.{number}.{part}"] = a, b
    return Adapter(architecture.name, alpha, pairs)


def write_adapter(path: Path, adapter: Adapter) -> Path:
    """Write one GGUF file and return its path."""
    writer = gguf.GGUFWriter(path, adapter.architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, adapter.alpha)
    for name, (a, b) in adapter.pairs.items():
        writer.add_tensor(f"{name}.lora_a", a)
        writer.add_tensor(f"{name}.lora_b", b)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _matrices(
    layer: Mapping[str, tuple[int, ...]], targets: Sequence[str]
) -> list[tuple[str, tuple[int, ...]]]:
    wanted = {f"{target}.weight" for target in targets}
    return [(name, shape) for name, shape in layer.items() if name in wanted]
