"""Writing models to GGUF files."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import gguf
import numpy as np
from numpy.typing import NDArray

from scripts.make_gguf.architecture import Architecture, Tensors, Value
from scripts.make_gguf.transformers import SMALL_BERT, TINY_LLAMA, WIDE_LLAMA, Shape
from scripts.make_gguf.vocabulary import (
    Vocabulary,
    add_vocabulary,
    byte_level_vocabulary,
    word_piece_vocabulary,
)
from scripts.make_gguf.weights import add_weights
from scripts.make_gguf.zoo import ARCHITECTURES

Pooling = Literal["mean", "cls", "rank"]


def write_model(
    path: Path,
    model: Shape | Architecture,
    vocabulary: Vocabulary,
    *,
    pooling: Pooling | None = None,
    labels: Sequence[str] = (),
    rank_template: str | None = None,
    seed: int = 0,
    deltas: Mapping[str, NDArray[np.float32]] | None = None,
) -> Path:
    """Write one GGUF file and return its path. `labels` and `rank_template` are a reranker's;
    `deltas` are added to the random weights, by the name of the tensor."""
    architecture = model.architecture if isinstance(model, Shape) else model
    writer = gguf.GGUFWriter(path, architecture.name)
    # llama.cpp looks for families' names in here, and then for tokens that they must have
    writer.add_name("random weights")
    for key, value in architecture.keys.items():
        _add_value(writer, f"{architecture.name}.{key}", value)
    if pooling is not None:
        writer.add_pooling_type(gguf.PoolingType[pooling.upper()])
    if labels:
        writer.add_classifier_output_labels(labels)
    if rank_template is not None:
        writer.add_string("tokenizer.chat_template.rerank", rank_template)
    add_vocabulary(writer, vocabulary)
    add_weights(writer, architecture, len(vocabulary), seed, deltas or {})
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_tiny_llama(
    path: Path,
    *,
    chat: bool = True,
    fill_in_middle: bool = False,
    context: int = TINY_LLAMA.context,
    seed: int = 0,
) -> Path:
    """A two-layer llama with a few hundred byte-level tokens, under 1 MB."""
    vocabulary = byte_level_vocabulary(chat=chat, fill_in_middle=fill_in_middle)
    return write_model(path, replace(TINY_LLAMA, context=context), vocabulary, seed=seed)


def write_wide_llama(path: Path, *, vocabulary_size: int = 150_000, seed: int = 0) -> Path:
    """A two-layer llama with a large vocabulary, where sampling outweighs the network."""
    return write_model(path, WIDE_LLAMA, byte_level_vocabulary(size=vocabulary_size), seed=seed)


def write_encoder(path: Path, *, pooling: Pooling = "cls", seed: int = 0) -> Path:
    """A two-layer BERT encoder for embeddings, with a context of 512 tokens."""
    return write_model(path, SMALL_BERT, word_piece_vocabulary(), pooling=pooling, seed=seed)


def write_projector(path: Path) -> Path:
    """The head of an image projector: enough to be told from a model, not to be loaded."""
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_string("general.type", "mmproj")
    writer.add_tensor("v.post_ln.weight", np.ones(4, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_reranker(path: Path, *, seed: int = 0) -> Path:
    """An encoder that gives one number for a pair, as BGE's and Jina's do."""
    model, width = SMALL_BERT.architecture, SMALL_BERT.width
    head: Tensors = {
        "cls.weight": (width, width),
        "cls.bias": (width,),
        "cls.output.weight": (1, width),
        "cls.output.bias": (1,),
    }
    model = replace(model, tensors={**model.tensors, **head})
    return write_model(path, model, word_piece_vocabulary(), pooling="rank", seed=seed)


def write_causal_reranker(path: Path, *, seed: int = 0) -> Path:
    """A decoder that says yes or no to a pair, as Qwen3's rerankers do."""
    model = ARCHITECTURES["qwen3"]
    head: Tensors = {"cls.output.weight": (2, model.width)}
    return write_model(
        path,
        replace(model, tensors={**model.tensors, **head}),
        byte_level_vocabulary(),
        pooling="rank",
        labels=("yes", "no"),
        rank_template="query: {query}\ndocument: {document}\nanswer:",
        seed=seed,
    )


def write_tiny(path: Path, architecture: str, *, chat: bool = True, seed: int = 0) -> Path:
    """A tiny chat model of any architecture in `ARCHITECTURES`, under 2 MB."""
    model = ARCHITECTURES[architecture]
    return write_model(path, model, byte_level_vocabulary(chat=chat), seed=seed)


def _add_value(writer: gguf.GGUFWriter, key: str, value: Value) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    else:
        writer.add_array(key, list(value))
