"""Make GGUF files with random weights, for benchmarks and tests.

The files load and run in llama.cpp like real models, with real dimensions where a preset says so;
only what they say is noise. Speed depends on shapes and types, not on the values of the weights.
The same seed gives the same bytes.
"""

from scripts.make_gguf.adapters import PROJECTIONS, Adapter, make_adapter, write_adapter
from scripts.make_gguf.files import (
    write_causal_reranker,
    write_encoder,
    write_model,
    write_projector,
    write_reranker,
    write_tiny,
    write_tiny_llama,
    write_wide_llama,
)
from scripts.make_gguf.transformers import QWEN_HALF_B, QWEN_SMALL, TINY_LLAMA, Shape
from scripts.make_gguf.vocabulary import (
    CHAT_TOKENS,
    Vocabulary,
    byte_level_vocabulary,
    read_vocabulary,
    word_piece_vocabulary,
)
from scripts.make_gguf.weights import random_weights
from scripts.make_gguf.zoo import ARCHITECTURES, WINDOW

__all__ = [
    "ARCHITECTURES",
    "CHAT_TOKENS",
    "PROJECTIONS",
    "QWEN_HALF_B",
    "QWEN_SMALL",
    "TINY_LLAMA",
    "WINDOW",
    "Adapter",
    "Shape",
    "Vocabulary",
    "byte_level_vocabulary",
    "make_adapter",
    "random_weights",
    "read_vocabulary",
    "word_piece_vocabulary",
    "write_adapter",
    "write_causal_reranker",
    "write_encoder",
    "write_model",
    "write_projector",
    "write_reranker",
    "write_tiny",
    "write_tiny_llama",
    "write_wide_llama",
]
