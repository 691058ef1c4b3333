"""How models can be loaded and run: words that settings, manifest, requests and engine share."""

from typing import Literal

KvType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"]
Pooling = Literal["mean", "cls", "last"]
# How a model is spread over several GPUs: whole layers on each, rows of each matrix, or not at all.
SplitMode = Literal["layer", "row", "none"]

# Who guesses tokens ahead: nobody; the sequence's own text (prompt lookup); a smaller model; the
# model's own multi-token prediction layers.
DraftMethod = Literal["off", "ngram", "model", "mtp"]

# Of waiting requests those of a smaller number start first.
INTERACTIVE, BATCH, MAX_PRIORITY = 0, 100, 1000
PRIORITY_CLASSES = {"interactive": INTERACTIVE, "batch": BATCH}

MAX_ADAPTERS = 64
"""LoRA adapters of one model."""
MAX_LORA_SCALE = 100.0

MAX_DRAFT_TOKENS = 16
"""Guessed ahead of one sequence in one step, whoever guesses."""

MAX_REPLICAS = 64
"""Engines of one model."""
