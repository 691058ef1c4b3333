"""How models can be loaded: words that the settings, the manifest and llama.cpp's side share."""

from typing import Literal

KvType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"]
Pooling = Literal["mean", "cls", "last"]
