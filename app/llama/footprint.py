"""How much memory llama.cpp takes for a model, known before it takes any.

llama.cpp itself plays the load through without reading weights or allocating the cache; what it
would take stands in its log, by the line for each buffer. So every architecture's cache and every
compute graph is counted as llama.cpp counts it.
"""

import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
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
_NO_MEMORY = re.compile(r"(?:failed|unable) to alloc|out of (?:device )?memory", re.IGNORECASE)


def estimate(
    path: Path,
    model_options: ModelOptions,
    context: ContextOptions | None,
    embedding: EmbeddingOptions | None = None,
) -> int:
    """Bytes that a model will take with these contexts. An encoder, which cannot generate, has the
    one for embeddings only, a decoder the other only.

    Takes as long as reading the vocabulary. Raises ModelLoadFailed.
    """
    with listen(is_quiet=True) as lines, ExitStack() as undo:
        model = Model.load(path, replace(model_options, is_simulated=True))
        undo.callback(model.close)
        made = None
        if model.has_encoder and model.has_decoder:  # it will be refused
            return model.size
        if model.is_generator:
            made = make_context(model, context) if context is not None else None
        elif embedding is not None:
            made = make_embedding_context(model, embedding)
        if made is not None:
            undo.callback(lib.llama_free, made)
        return model.size + count_buffers(lines)


def count_buffers(lines: Sequence[str]) -> int:
    """Bytes of the caches, outputs and compute graphs that llama.cpp's log speaks of."""
    sizes = (float(match[1]) for line in lines for match in _SIZE.finditer(line))
    return int(sum(sizes) * _MIB)


def lacked_memory(lines: Sequence[str]) -> bool:
    """Whether llama.cpp's log says that something could not be allocated."""
    return any(_NO_MEMORY.search(line) for line in lines)
