"""LoRA adapters as everybody speaks of them: small changes to a model's weights, by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class ScaledAdapter(NamedTuple):
    """An adapter, and how strongly it is applied: 1 as it was trained, never 0."""

    name: str
    scale: float


AdapterSet = tuple[ScaledAdapter, ...]
"""What is applied together, in the model's order of its adapters; nothing for the model as it is.

Plain tuples, because the engine compares and hashes them for every sequence of every step.
"""

NO_ADAPTERS: AdapterSet = ()


def spell(adapters: AdapterSet) -> list[str]:
    """`sql`, or `sql@0.5` where it is scaled: for logs."""
    return [name if scale == 1 else f"{name}@{scale:g}" for name, scale in adapters]


def make_set(scales: Sequence[tuple[str, float]]) -> AdapterSet:
    """Of names and scales in the model's order; what is scaled to nothing is left out."""
    return tuple(ScaledAdapter(name, scale) for name, scale in scales if scale)


@dataclass(frozen=True, slots=True)
class AdapterInfo:
    """An adapter of a model. `file` is its name without folders, `size` in bytes, `created` in Unix
    seconds, `scale` what it is applied with where nobody says."""

    name: str
    file: str
    size: int
    created: int
    scale: float = 1.0
    sha256: str | None = None
