"""Transformers of any size that differ in sizes only: llama, Qwen 2 and BERT."""

from dataclasses import dataclass, replace
from typing import Literal

from gguf import GGMLQuantizationType

from scripts.make_gguf.architecture import (
    Architecture,
    Tensors,
    Value,
    attention,
    biases,
    feed_forward,
    norms,
)


@dataclass(frozen=True, slots=True)
class Shape:
    """The dimensions of a transformer, in elements, tokens or layers."""

    arch: Literal["llama", "qwen2", "bert"]
    layers: int
    width: int
    heads: int
    kv_heads: int
    hidden: int
    context: int
    rope_base: float = 10_000.0
    matrix_type: GGMLQuantizationType = GGMLQuantizationType.F32
    embedding_type: GGMLQuantizationType = GGMLQuantizationType.F32

    @property
    def architecture(self) -> Architecture:
        keys = {**common_keys(self.layers, self.width, self.hidden, self.context), **_keys(self)}
        return Architecture(
            name=self.arch,
            width=self.width,
            keys=keys,
            layers=[_layer(self)] * self.layers,
            tensors=_outer_tensors(self),
            matrix_type=self.matrix_type,
            embedding_type=self.embedding_type,
        )


QWEN_HALF_B = Shape(
    arch="qwen2",
    layers=24,
    width=896,
    heads=14,
    kv_heads=2,
    hidden=4864,
    context=32_768,
    rope_base=1_000_000.0,
    matrix_type=GGMLQuantizationType.Q4_0,
    embedding_type=GGMLQuantizationType.Q8_0,
)
QWEN_SMALL = replace(QWEN_HALF_B, layers=4, width=256, heads=4, kv_heads=2, hidden=1024)
TINY_LLAMA = Shape("llama", layers=2, width=64, heads=4, kv_heads=2, hidden=128, context=2048)
WIDE_LLAMA = replace(TINY_LLAMA, embedding_type=GGMLQuantizationType.Q8_0)
SMALL_BERT = Shape("bert", layers=2, width=64, heads=4, kv_heads=4, hidden=128, context=512)


def common_keys(layers: int, width: int, hidden: int, context: int) -> dict[str, Value]:
    """What every architecture says of itself."""
    return {
        "block_count": layers,
        "context_length": context,
        "embedding_length": width,
        "feed_forward_length": hidden,
    }


def _keys(shape: Shape) -> dict[str, Value]:
    keys: dict[str, Value] = {"attention.head_count": shape.heads}
    if shape.arch == "bert":
        return {**keys, "attention.layer_norm_epsilon": 1e-12, "attention.causal": False}
    return {
        **keys,
        "attention.head_count_kv": shape.kv_heads,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "rope.freq_base": shape.rope_base,
        "rope.dimension_count": shape.width // shape.heads,
    }


def _layer(shape: Shape) -> Tensors:
    width = shape.width
    attended = attention(width, shape.heads, shape.kv_heads, width // shape.heads)
    forward = feed_forward(width, shape.hidden, gate=shape.arch != "bert")
    if shape.arch == "bert":
        after = norms(width, "attn_output_norm", "layer_output_norm")
        # norms have a bias of the same size as themselves
        shifts = {name.replace("weight", "bias"): size for name, size in after.items()}
        return {**attended, **forward, **biases({**attended, **forward}), **after, **shifts}
    tensors = {**attended, **forward, **norms(width, "attn_norm", "ffn_norm")}
    if shape.arch == "qwen2":
        projections = ("attn_q.weight", "attn_k.weight", "attn_v.weight")
        tensors |= biases({name: attended[name] for name in projections})
    return tensors


def _outer_tensors(shape: Shape) -> Tensors:
    if shape.arch == "bert":
        return {
            "position_embd.weight": (shape.context, shape.width),
            "token_types.weight": (2, shape.width),
            "token_embd_norm.weight": (shape.width,),
            "token_embd_norm.bias": (shape.width,),
        }
    return norms(shape.width, "output_norm")
