"""How much memory llama.cpp takes for a model, known before it takes any.

llama.cpp itself plays the load through without reading weights or allocating the cache; what it
would take stands in its log, by the line for each buffer. So every architecture's cache and every
compute graph is counted as llama.cpp counts it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from app.llama.bindings import lib
from app.llama.context import ContextOptions, make_context
from app.llama.embedding import EmbeddingOptions, make_embedding_context
from app.llama.library import listen
from app.llama.model import Model, ModelOptions

_MIB = 1024**2
# "size = 384.00 MiB (32768 cells, ..." of each cache; lines of its single buffers say the same
# once more. Outputs and compute graphs have only lines of buffers.
_SIZE = re.compile(r"(?:(?<!buffer )|(?:output|compute) buffer )size = +(\d+\.\d+) MiB")
# the same for one device: buffers by its name, caches and weights by the layers it has
_BUFFER = re.compile(r": +(\S+) +(?:output|compute) buffer size = +(\d+\.\d+) MiB")
_CACHE = re.compile(r": size = +(\d+\.\d+) MiB")
_CACHE_LAYER = re.compile(r"layer +\d+: dev = (\S+)")
_LAYER = re.compile(r"layer +\d+ assigned to device ([^\s,]+)")
_NO_MEMORY = re.compile(r"(?:failed|unable) to alloc|out of (?:device )?memory", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes of a model's weights and of its contexts (caches, outputs, compute graphs); `_on` are
    the parts of them on each device, by its name."""

    weights: int = 0
    contexts: int = 0
    weights_on: Mapping[str, int] = field(default_factory=dict[str, int])
    contexts_on: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def total(self) -> int:
        return self.weights + self.contexts

    @property
    def total_on(self) -> Mapping[str, int]:
        return _add(self.weights_on, self.contexts_on)

    def __add__(self, other: "Footprint") -> "Footprint":
        return Footprint(
            self.weights + other.weights,
            self.contexts + other.contexts,
            _add(self.weights_on, other.weights_on),
            _add(self.contexts_on, other.contexts_on),
        )

    def with_weights(self, size: int) -> "Footprint":
        """With so many bytes more that lie where the weights do."""
        known = sum(self.weights_on.values())
        on = {name: size * part // known for name, part in self.weights_on.items() if known}
        return self + Footprint(weights=size, weights_on=on)

    @property
    def without_weights(self) -> "Footprint":
        """Of another context for the same weights."""
        return replace(self, weights=0, weights_on={})


def estimate(
    path: Path,
    model_options: ModelOptions,
    context: ContextOptions | None,
    embedding: EmbeddingOptions | None = None,
) -> Footprint:
    """What a model will take with these contexts. An encoder, which cannot generate, has the
    one for embeddings only, a decoder the other only.

    Takes as long as reading the vocabulary. Raises ModelLoadFailed.
    """
    with listen(is_quiet=True) as lines, ExitStack() as undo:
        model = Model.load(path, replace(model_options, is_simulated=True))
        undo.callback(model.close)
        weights_on = _share_out(model.size, _LAYER, lines)
        made = None
        if model.has_encoder and model.has_decoder:  # it will be refused
            return Footprint(weights=model.size)
        if model.is_generator:
            made = make_context(model, context) if context is not None else None
        elif embedding is not None:
            made = make_embedding_context(model, embedding)
        if made is not None:
            undo.callback(lib.llama_free, made)
        return Footprint(model.size, count_buffers(lines), weights_on, count_on_devices(lines))


def count_buffers(lines: Sequence[str]) -> int:
    """Bytes of the caches, outputs and compute graphs that llama.cpp's log speaks of."""
    sizes = (float(match[1]) for line in lines for match in _SIZE.finditer(line))
    return int(sum(sizes) * _MIB)


def count_on_devices(lines: Sequence[str]) -> dict[str, int]:
    """The same for each device. A cache lies where its layers are, in equal parts."""
    found: Counter[str] = Counter()
    layers: list[str] = []
    for line in lines:
        if match := _BUFFER.search(line):
            found[match[1]] += int(float(match[2]) * _MIB)
        elif _CACHE_LAYER.search(line):
            layers.append(line)
        elif (match := _CACHE.search(line)) and layers:
            found.update(_share_out(int(float(match[1]) * _MIB), _CACHE_LAYER, layers))
            layers = []
    return dict(found)


def _share_out(size: int, layer: re.Pattern[str], lines: Iterable[str]) -> dict[str, int]:
    """`size` bytes by the layers that each device has, which is what `layer` finds."""
    counts = Counter(match[1] for line in lines if (match := layer.search(line)))
    return {device: size * count // counts.total() for device, count in counts.items()}


def lacked_memory(lines: Sequence[str]) -> bool:
    """Whether llama.cpp's log says that something could not be allocated."""
    return any(_NO_MEMORY.search(line) for line in lines)


def _add(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    return {name: left.get(name, 0) + right.get(name, 0) for name in (*left, *right)}
