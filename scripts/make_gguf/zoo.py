"""Tiny models of many architectures, to see how llama.cpp's memory behaves under each.

Layers and widths are the least that have every kind of part the architecture knows.
"""

from dataclasses import replace

from scripts.make_gguf.architecture import (
    Architecture,
    Tensors,
    Value,
    attention,
    biases,
    experts,
    feed_forward,
    norms,
)
from scripts.make_gguf.transformers import TINY_LLAMA, common_keys

WIDTH, HIDDEN, CONTEXT = 64, 128, 2048
HEADS, KV_HEADS, HEAD = 2, 1, 32  # quantized caches need heads of whole blocks
EXPERTS, EXPERTS_USED, EXPERT_HIDDEN = 4, 2, 32
WINDOW = 32

_NORMS = norms(WIDTH, "attn_norm", "ffn_norm")
_HEAD_NORMS = norms(HEAD, "attn_q_norm", "attn_k_norm")
_OUTPUT_NORM = norms(WIDTH, "output_norm")
_ATTENTION = attention(WIDTH, HEADS, KV_HEADS, HEAD)
_FORWARD = feed_forward(WIDTH, HIDDEN)
_EXPERTS = experts(WIDTH, EXPERT_HIDDEN, EXPERTS)

_LLAMA = replace(TINY_LLAMA, heads=HEADS, kv_heads=KV_HEADS)

_EXPERT_KEYS: dict[str, Value] = {
    "expert_count": EXPERTS,
    "expert_used_count": EXPERTS_USED,
    "expert_feed_forward_length": EXPERT_HIDDEN,
}


def _keys(layers: int, kv_heads: int | list[int] = KV_HEADS, **more: Value) -> dict[str, Value]:
    """Keys of a model that attends somewhere; `more`: `ssm__state_size` for `ssm.state_size`."""
    return {
        **common_keys(layers, WIDTH, HIDDEN, CONTEXT),
        "attention.head_count": HEADS,
        "attention.head_count_kv": kv_heads,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "attention.key_length": HEAD,
        "attention.value_length": HEAD,
        "rope.freq_base": 10_000.0,
        "rope.dimension_count": HEAD,
        **{name.replace("__", "."): value for name, value in more.items()},
    }


def _qwen3() -> Architecture:
    layer = {**_NORMS, **_HEAD_NORMS, **_ATTENTION, **_FORWARD}
    return Architecture("qwen3", WIDTH, _keys(2), [layer] * 2, _OUTPUT_NORM)


def _qwen3moe() -> Architecture:
    layer = {**_NORMS, **_HEAD_NORMS, **_ATTENTION, **_EXPERTS}
    keys = {**_keys(2), **_EXPERT_KEYS}
    return Architecture("qwen3moe", WIDTH, keys, [layer] * 2, _OUTPUT_NORM)


def _gemma3() -> Architecture:
    """Local, global, local, global."""
    after = norms(WIDTH, "post_attention_norm", "post_ffw_norm")
    layer = {**_NORMS, **after, **_HEAD_NORMS, **_ATTENTION, **_FORWARD}
    keys = _keys(4, attention__sliding_window=WINDOW, attention__sliding_window_pattern=2)
    return Architecture("gemma3", WIDTH, keys, [layer] * 4, _OUTPUT_NORM)


def _gpt_oss() -> Architecture:
    """Windows, attention sinks and experts."""
    parts = {**_ATTENTION, **_EXPERTS}
    layer: Tensors = {
        **norms(WIDTH, "attn_norm", "post_attention_norm"),
        **parts,
        **biases(parts),
        "attn_sinks.weight": (HEADS,),
    }
    keys = {**_keys(4, attention__sliding_window=WINDOW), **_EXPERT_KEYS}
    return Architecture("gpt-oss", WIDTH, keys, [layer] * 4, _OUTPUT_NORM, has_output=True)


def _phi3() -> Architecture:
    layer: Tensors = {
        **_NORMS,
        "attn_qkv.weight": ((HEADS + 2 * KV_HEADS) * HEAD, WIDTH),
        "attn_output.weight": (WIDTH, HEADS * HEAD),
        "ffn_up.weight": (2 * HIDDEN, WIDTH),
        "ffn_down.weight": (WIDTH, HIDDEN),
    }
    return Architecture("phi3", WIDTH, _keys(2), [layer] * 2, _OUTPUT_NORM)


def _mamba() -> Architecture:
    inner, state, rank, kernel = 2 * WIDTH, 16, 4, 4
    layer: Tensors = {
        **norms(WIDTH, "attn_norm"),
        "ssm_in.weight": (2 * inner, WIDTH),
        "ssm_conv1d.weight": (inner, kernel),
        "ssm_conv1d.bias": (inner,),
        "ssm_x.weight": (rank + 2 * state, inner),
        "ssm_dt.weight": (inner, rank),
        "ssm_dt.bias": (inner,),
        "ssm_a": (inner, state),
        "ssm_d": (inner,),
        "ssm_out.weight": (WIDTH, inner),
    }
    keys: dict[str, Value] = {
        **common_keys(2, WIDTH, 0, CONTEXT),
        "attention.head_count": 0,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "ssm.conv_kernel": kernel,
        "ssm.inner_size": inner,
        "ssm.state_size": state,
        "ssm.time_step_rank": rank,
    }
    return Architecture("mamba", WIDTH, keys, [layer] * 2, _OUTPUT_NORM)


def _lfm2() -> Architecture:
    """Short convolutions, and attention in every other layer."""
    kernel = 3
    convolution: Tensors = {
        "shortconv.conv.weight": (WIDTH, kernel),
        "shortconv.in_proj.weight": (3 * WIDTH, WIDTH),
        "shortconv.out_proj.weight": (WIDTH, WIDTH),
    }
    attended = {**_ATTENTION, **_HEAD_NORMS}
    layers = [{**_NORMS, **_FORWARD, **(attended if i % 2 else convolution)} for i in range(4)]
    keys = _keys(4, kv_heads=[0, KV_HEADS] * 2, shortconv__l_cache=kernel)
    return Architecture("lfm2", WIDTH, keys, layers, norms(WIDTH, "token_embd_norm"))


def _granite_hybrid() -> Architecture:
    """Mamba 2, and attention in every other layer."""
    inner, state, heads, groups, kernel = 2 * WIDTH, 16, 4, 1, 4
    mixed = inner + 2 * groups * state
    mamba: Tensors = {
        "ssm_in.weight": (inner + mixed + heads, WIDTH),
        "ssm_conv1d.weight": (mixed, kernel),
        "ssm_conv1d.bias": (mixed,),
        "ssm_dt.bias": (heads,),
        "ssm_a": (heads, 1),
        "ssm_d": (heads, 1),
        "ssm_norm.weight": (groups, inner // groups),
        "ssm_out.weight": (WIDTH, inner),
    }
    layers = [{**_NORMS, **_FORWARD, **(_ATTENTION if i % 2 else mamba)} for i in range(4)]
    keys = _keys(
        4,
        kv_heads=[0, KV_HEADS] * 2,
        ssm__conv_kernel=kernel,
        ssm__inner_size=inner,
        ssm__state_size=state,
        ssm__time_step_rank=heads,
        ssm__group_count=groups,
    )
    return Architecture("granitehybrid", WIDTH, keys, layers, _OUTPUT_NORM)


def _nextn() -> Tensors:
    """What makes a layer one that predicts the token after the next."""
    return {
        "nextn.eh_proj.weight": (WIDTH, 2 * WIDTH),
        **norms(WIDTH, "nextn.enorm", "nextn.hnorm", "nextn.shared_head_norm"),
    }


def _qwen35() -> Architecture:
    """Gated delta nets, attention in every other layer, and a layer for the token after next."""
    state, key_heads, value_heads, kernel = 16, 2, 4, 4
    mixed = (2 * key_heads + value_heads) * state
    inner = value_heads * state
    delta: Tensors = {
        "attn_qkv.weight": (mixed, WIDTH),
        "attn_gate.weight": (inner, WIDTH),
        "ssm_conv1d.weight": (mixed, kernel),
        "ssm_dt.bias": (value_heads,),
        "ssm_a": (value_heads,),
        "ssm_alpha.weight": (value_heads, WIDTH),
        "ssm_beta.weight": (value_heads, WIDTH),
        "ssm_norm.weight": (state,),
        "ssm_out.weight": (WIDTH, inner),
    }
    attended = {**attention(WIDTH, HEADS, KV_HEADS, HEAD, query=2), **_HEAD_NORMS}
    around = {**norms(WIDTH, "attn_norm", "post_attention_norm"), **_FORWARD}
    layers = [{**around, **(attended if i % 2 else delta)} for i in range(4)]
    layers.append({**around, **attended, **_nextn()})
    keys = _keys(
        5,
        nextn_predict_layers=1,
        full_attention_interval=2,
        rope__dimension_sections=[6, 5, 5, 0],
        ssm__conv_kernel=kernel,
        ssm__inner_size=inner,
        ssm__state_size=state,
        ssm__time_step_rank=value_heads,
        ssm__group_count=key_heads,
    )
    return Architecture("qwen35", WIDTH, keys, layers, _OUTPUT_NORM)


def _glm4moe() -> Architecture:
    """A dense layer, one of experts, and a layer for the token after next."""
    around = {**norms(WIDTH, "attn_norm", "post_attention_norm"), **_ATTENTION}
    chosen: Tensors = {**around, **_EXPERTS, "exp_probs_b.bias": (EXPERTS,)}
    shared = feed_forward(WIDTH, EXPERT_HIDDEN)
    chosen |= {name.replace(".", "_shexp."): size for name, size in shared.items()}
    layers = [{**around, **_FORWARD}, chosen, {**chosen, **_nextn()}]
    keys = {
        **_keys(3, nextn_predict_layers=1, leading_dense_block_count=1, expert_shared_count=1),
        **_EXPERT_KEYS,
    }
    return Architecture("glm4moe", WIDTH, keys, layers, _OUTPUT_NORM)


def _t5() -> Architecture:
    """An encoder and a decoder."""
    buckets, layers = 8, 2
    size = (HEADS * HEAD, WIDTH)
    projections: Tensors = {"q": size, "k": size, "v": size, "o": (size[1], size[0])}
    bias: Tensors = {"attn_rel_b.weight": (buckets, HEADS)}
    own = {f"attn_{name}.weight": shape for name, shape in projections.items()}
    cross = {f"cross_{name}": shape for name, shape in own.items()}
    encoder = {**_NORMS, **own, **bias, **feed_forward(WIDTH, HIDDEN, gate=False)}
    decoder = {**encoder, **cross, **norms(WIDTH, "cross_attn_norm")}
    tensors = norms(WIDTH, "enc.output_norm", "dec.output_norm")
    for number in range(layers):
        tensors |= {f"enc.blk.{number}.{name}": shape for name, shape in encoder.items()}
        tensors |= {f"dec.blk.{number}.{name}": shape for name, shape in decoder.items()}
    keys = _keys(
        layers,
        kv_heads=HEADS,
        attention__relative_buckets_count=buckets,
        decoder_block_count=layers,
        decoder_start_token_id=0,
    )
    return Architecture("t5", WIDTH, keys, [], tensors)


ARCHITECTURES: dict[str, Architecture] = {
    architecture.name: architecture
    for architecture in (
        _LLAMA.architecture,
        replace(_LLAMA, arch="qwen2").architecture,
        _qwen3(),
        _qwen3moe(),
        _gemma3(),
        _gpt_oss(),
        _phi3(),
        _mamba(),
        _lfm2(),
        _granite_hybrid(),
        _qwen35(),
        _glm4moe(),
        _t5(),
    )
}
"""By llama.cpp's name of it."""
