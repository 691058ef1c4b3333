"""Writes a trained checkpoint as a GGUF that llama.cpp loads."""

# PyTorch and tokenizers are needed to train only, and are not among the dev dependencies.
# pyright: basic, reportMissingImports=false

import json
from pathlib import Path

import gguf
import numpy as np
import torch
from tokenizers import Tokenizer

from .chat import (
    CONTROL_TOKENS,
    END_OF_TEXT,
    FIM_MIDDLE,
    FIM_PREFIX,
    FIM_SUFFIX,
    IM_END,
    USER_DEFINED_TOKENS,
    template_source,
)
from .model import TinyConfig, TinyLlama, parameter_count
from .tokenizer import PRE_TOKENIZER

QUANTISED = gguf.GGMLQuantizationType.Q8_0


def _describe(writer: gguf.GGUFWriter, model: TinyLlama) -> None:
    config = model.config
    millions = parameter_count(model) / 1e6
    writer.add_name("corral-tiny")
    writer.add_author("Corral")
    writer.add_license("mit")
    writer.add_license_name("MIT")
    writer.add_languages(["en"])
    writer.add_size_label(f"{millions:.1f}M")
    writer.add_description(
        f"A {millions:.1f}M-parameter chat model for trying Corral out, trained on generated "
        f"dialogues in windows of up to {config.trained_length} tokens; the declared context of "
        f"{config.declared_context} tokens is for exercising the server, not for quality."
    )
    writer.add_sampling_temp(0.3)
    writer.add_sampling_top_k(20)
    writer.add_sampling_top_p(0.9)
    writer.add_sampling_min_p(0.05)


def _architecture(writer: gguf.GGUFWriter, config: TinyConfig) -> None:
    writer.add_context_length(config.declared_context)
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.ffn)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_base)
    writer.add_layer_norm_rms_eps(config.eps)
    writer.add_vocab_size(config.vocab)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)


def _vocabulary(writer: gguf.GGUFWriter, tokenizer: Tokenizer, size: int) -> None:
    vocab = {index: token for token, index in tokenizer.get_vocab().items()}
    tokens, types = [], []
    for index in range(size):
        token = vocab.get(index)
        tokens.append(token if token is not None else f"[unused{index}]")
        if token is None:
            types.append(gguf.TokenType.UNUSED)
        elif token in CONTROL_TOKENS:
            types.append(gguf.TokenType.CONTROL)
        elif token in USER_DEFINED_TOKENS:
            types.append(gguf.TokenType.USER_DEFINED)
        else:
            types.append(gguf.TokenType.NORMAL)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE_TOKENIZER)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in merges])
    writer.add_eos_token_id(tokenizer.token_to_id(IM_END))
    writer.add_eot_token_id(tokenizer.token_to_id(IM_END))
    writer.add_bos_token_id(tokenizer.token_to_id(END_OF_TEXT))
    writer.add_pad_token_id(tokenizer.token_to_id(END_OF_TEXT))
    for name, token in (("pre", FIM_PREFIX), ("suf", FIM_SUFFIX), ("mid", FIM_MIDDLE)):
        writer.add_uint32(f"tokenizer.ggml.fim_{name}_token_id", tokenizer.token_to_id(token))
    writer.add_add_bos_token(value=False)
    writer.add_chat_template(template_source())


def _tensors(writer: gguf.GGUFWriter, model: TinyLlama) -> None:
    for name, tensor in model.state_dict().items():
        values = tensor.detach().to(torch.float32).numpy()
        if values.ndim == 1:
            writer.add_tensor(name, values)
            continue
        packed = gguf.quants.quantize(np.ascontiguousarray(values), QUANTISED)
        writer.add_tensor(name, packed, raw_dtype=QUANTISED)


def write_gguf(model: TinyLlama, tokenizer: Tokenizer, path: Path) -> None:
    """Write the model as Q8_0 to `path`, never showing readers half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    writer = gguf.GGUFWriter(partial, "llama")
    _describe(writer, model)
    _architecture(writer, model.config)
    _vocabulary(writer, tokenizer, model.config.vocab)
    _tensors(writer, model)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.replace(path)
