"""Every kind of memory llama.cpp has, on tiny random models, and ways to read into it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.core.memory import MemoryKind
from app.llama.context import ContextOptions, LlamaRuntime
from app.llama.model import Model, ModelOptions
from scripts.make_gguf import write_tiny

Tokens = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]

KINDS: dict[str, MemoryKind] = {
    "llama": "attention",
    "qwen2": "attention",
    "qwen3": "attention",
    "qwen3moe": "attention",
    "phi3": "attention",
    "glm4moe": "attention",
    "gemma3": "sliding",
    "gpt-oss": "sliding",
    "mamba": "recurrent",
    "lfm2": "hybrid",
    "granitehybrid": "hybrid",
    "qwen35": "hybrid",
}

# Other kernels add in another order, and the same one does when the cells lie in another order;
# another prefix moves logits by whole units.
SHAPE_TOLERANCE = 0.15
ORDER_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class Case:
    """An architecture and the options of its context."""

    name: str
    architecture: str
    kind: MemoryKind
    options: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def tolerance(self) -> float:
        """Without flash attention even cells of others move the last bits, on some processors by
        more than on others."""
        return 1e-4 if self.options.get("flash_attention") == "off" else 0.0


def _cases() -> list[Case]:
    cases: list[Case] = []
    for architecture, kind in KINDS.items():
        cases.append(Case(architecture, architecture, kind))
        cases.append(Case(f"{architecture}-split", architecture, kind, {"kv_unified": False}))
    for name, options in {
        "q8_0": {"kv_type": "q8_0", "flash_attention": "on"},
        "q8_0-split": {"kv_type": "q8_0", "flash_attention": "on", "kv_unified": False},
        "no-flash": {"flash_attention": "off"},
    }.items():
        cases.append(Case(f"llama-{name}", "llama", "attention", options))
    return cases + [
        Case(f"{architecture}-full", architecture, "sliding", {"swa_full": True})
        for architecture in ("gemma3", "gpt-oss")
    ]


CASES = _cases()


class Zoo:
    """Loads each model once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._models: dict[str, Model] = {}

    def model(self, architecture: str) -> Model:
        if architecture not in self._models:
            path = write_tiny(self._folder / f"{architecture}.gguf", architecture)
            self._models[architecture] = Model.load(path, ModelOptions())
        return self._models[architecture]

    def close(self) -> None:
        for model in self._models.values():
            model.close()


def open_context(model: Model, **options: Any) -> LlamaRuntime:
    """Four sequences; a window's cache is then smaller than the whole one."""
    chosen: dict[str, Any] = {"kv_size": 4096, "max_sequences": 4, "threads": 1, **options}
    return LlamaRuntime(model, ContextOptions(**chosen))


def random_tokens(count: int, seed: int = 0) -> Tokens:
    return np.random.default_rng(seed).integers(10, 400, count)


def decode(
    runtime: LlamaRuntime, rows: Sequence[tuple[int, int, int]], wanted: int = 1
) -> Logits | None:
    """Decode (token, position, sequence) rows; a copy of the last `wanted` rows of logits, None
    without room."""
    batch, count = runtime.batch, len(rows)
    columns = np.array(rows).T
    batch.token[:count], batch.position[:count], batch.sequence[:count] = columns
    batch.output[:count] = np.arange(count) >= count - wanted
    return runtime.logits(wanted).copy() if runtime.decode(count) else None


def read(
    runtime: LlamaRuntime,
    sequence: int,
    tokens: Tokens,
    start: int = 0,
    *,
    chunk: int = 64,
) -> Logits:
    """Append `tokens[start:]` in pieces; the last logits of each piece, of shape (pieces, size)."""
    rows = [(int(token), place, sequence) for place, token in enumerate(tokens)][start:]
    found: list[Logits] = []
    for first in range(0, len(rows), chunk):
        logits = decode(runtime, rows[first : first + chunk])
        assert logits is not None, "the cache has no room"
        found.append(logits[0])
    return np.array(found)


def go_on(runtime: LlamaRuntime, sequence: int, tokens: Tokens, start: int, end: int) -> Logits:
    """Logits of positions start..end-1, one at a time, as an answer is generated."""
    return read(runtime, sequence, tokens[:end], start, chunk=1)


def assert_same(found: Logits, expected: Logits, tolerance: float = 0.0) -> None:
    """Bit for bit unless a tolerance is given."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def furthest(one: Logits, other: Logits) -> float:
    return float(np.abs(one - other).max())


def typical(one: Logits, other: Logits) -> float:
    """The median over positions of how far apart they are: where two experts are as good as each
    other, the last bit decides between them, and a few positions lie far apart."""
    return float(np.median(np.abs(one - other).max(axis=1)))
