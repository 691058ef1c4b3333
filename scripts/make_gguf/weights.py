"""Random weights in a file's own encoding, chosen by the name of a tensor."""

from collections.abc import Mapping

import gguf
import numpy as np
from gguf import GGMLQuantizationType
from numpy.typing import NDArray

from scripts.make_gguf.architecture import Architecture, Dimensions

Weights = NDArray[np.float32] | NDArray[np.uint8]

# Standard deviations of what is no matrix; matrices keep the size of what they multiply.
_SPREADS = {
    "token_embd.weight": 0.05,
    "position_embd.weight": 0.05,
    "token_types.weight": 0.05,
    "attn_sinks.weight": 1.0,
}
_BIAS_SPREAD = 0.1
# A state's decay rates, and what passes a state by.
_RATES, _BYPASS = "ssm_a", "ssm_d"


def random_weights(
    rng: np.random.Generator, shape: tuple[int, ...], kind: GGMLQuantizationType, std: float
) -> Weights:
    """Random weights with the given standard deviation, in the file's own encoding.

    Quantized blocks are drawn directly, which is far faster than quantizing floats.
    """
    if kind is GGMLQuantizationType.F32:
        return rng.standard_normal(shape, dtype=np.float32) * np.float32(std)
    blocks = (*shape[:-1], shape[-1] // 32)
    if kind is GGMLQuantizationType.Q4_0:
        low, high = rng.integers(1, 16, (2, *blocks, 16), dtype=np.uint8)
        values, spread = low | (high << 4), np.sqrt((15**2 - 1) / 12)
    elif kind is GGMLQuantizationType.Q8_0:
        values = rng.integers(-127, 128, (*blocks, 32), dtype=np.int8).view(np.uint8)
        spread = np.sqrt((255**2 - 1) / 12)
    else:
        raise ValueError(f"random weights of type {kind.name} are not supported")
    scale = np.full((*blocks, 1), std / spread, dtype=np.float16).view(np.uint8)
    return np.concatenate([scale, values], axis=-1).reshape(*shape[:-1], -1)


def add_weights(
    writer: gguf.GGUFWriter,
    architecture: Architecture,
    vocabulary: int,
    seed: int,
    deltas: Mapping[str, NDArray[np.float32]],
) -> None:
    """Add every tensor of a model with `vocabulary` tokens. `deltas` are added to plain matrices,
    by the tensor's name."""
    rng = np.random.default_rng(seed)
    plain = GGMLQuantizationType.F32
    for name, shape in architecture.all_tensors(vocabulary):
        part = name.split(".", 2)[-1] if name.startswith("blk.") else name
        if part.endswith("norm.weight") or part == _BYPASS:
            writer.add_tensor(name, np.ones(shape, dtype=np.float32))
        elif part == _RATES:
            writer.add_tensor(name, -rng.uniform(0.5, 4.0, shape).astype(np.float32))
        else:
            kind = _kind(architecture, part, shape)
            weights = random_weights(rng, shape, kind, _spread(part, shape))
            if name in deltas:
                if kind is not plain:
                    raise ValueError(f"nothing can be added to {name}, which is {kind.name}")
                weights = weights + deltas[name]
            writer.add_tensor(name, weights, raw_dtype=kind if kind is not plain else None)


def _kind(architecture: Architecture, part: str, shape: Dimensions) -> GGMLQuantizationType:
    if part == "token_embd.weight":
        return architecture.embedding_type
    is_matrix = len(shape) > 1 and part not in _SPREADS and not part.endswith(".bias")
    return architecture.matrix_type if is_matrix else GGMLQuantizationType.F32


def _spread(part: str, shape: Dimensions) -> float:
    if part.endswith(".bias"):
        return _BIAS_SPREAD
    return _SPREADS.get(part, float(shape[-1] ** -0.5))
