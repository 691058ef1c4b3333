"""A program of its own that loads a model file once: see `app.pool.trial`.

llama.cpp checks much of a file with assertions that abort the process, and not all of it. Whatever
a file does here, it does to this process only. `python -m app.llama.trial FILE THREADS KV_TYPE
FLASH_ATTENTION [ADAPTER]` ends with code 0 when the file was loaded and computed a few tokens,
under the adapter where there is one. Else its output says why not.
"""

import os
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

# set before llama.cpp is loaded: a graphics card's memory is not for trials, nor is a debugger
os.environ |= {"CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": "", "GGML_NO_BACKTRACE": "1"}

from app.core.adapters import make_set
from app.core.errors import CorralError
from app.llama import library
from app.llama.adapters import load_adapter
from app.llama.context import ContextOptions, LlamaRuntime
from app.llama.embedding import EmbeddingOptions, EmbeddingRuntime
from app.llama.model import Model, ModelOptions
from app.llama.ranking import RankingRuntime

_CONTEXT = 64
_PROMPT = 2
_TEXT = "Hello, 世界 1234"


def main() -> None:
    _bound()
    errors: list[str] = []

    def note(level: library.LogLevel, line: str) -> None:
        if level == "error":
            errors.append(line)

    library.init(note)
    path, threads, kv_type, flash_attention, *adapters = sys.argv[1:]
    options: Any = {"kv_type": kv_type, "flash_attention": flash_attention}
    count = int(threads)
    try:
        context = ContextOptions(_CONTEXT, 1, _CONTEXT, _CONTEXT, count, count, **options)
        _use(Path(path), context, [Path(adapter) for adapter in adapters])
    except CorralError as error:
        sys.exit(errors[0] if errors else error.message)
    except MemoryError:
        sys.exit("it asks for more memory than there is")


def _bound() -> None:
    """The first that is ended where memory runs out, and no memory dumps."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # Linux only
        Path("/proc/self/oom_score_adj").write_text("1000")


def _use(path: Path, options: ContextOptions, adapters: list[Path]) -> None:
    """Load the file and go once through what a server does with it."""
    model = Model.load(path, ModelOptions(gpu_layers=0, repack=False))
    for adapter in adapters:
        model.adapters[adapter.name] = load_adapter(model.handle, adapter)
    vocabulary = model.vocabulary
    for token in range(vocabulary.size):
        vocabulary.piece(token, special=True)
    tokens = vocabulary.tokenize(_TEXT, add_special=True, parse_special=True)[:_PROMPT]
    if not tokens or not model.has_decoder:
        return
    if model.is_reranker:
        RankingRuntime(model, EmbeddingOptions(_CONTEXT, options.threads)).embed(tokens)
        return
    if not model.is_causal:
        EmbeddingRuntime(model, EmbeddingOptions(_CONTEXT, options.threads)).embed(tokens)
        return
    if not model.has_encoder:
        runtime = LlamaRuntime(model, options)
        runtime.adapt(make_set([(adapter.name, 1.0) for adapter in adapters]))
        _decode(runtime, tokens)


def _decode(runtime: LlamaRuntime, tokens: list[int]) -> None:
    """A prompt, and one token after it: they take different paths through llama.cpp."""
    position = 0
    for rows in (tokens, tokens[:1]):
        count, batch = len(rows), runtime.batch
        batch.token[:count] = rows
        batch.position[:count] = range(position, position + count)
        batch.sequence[:count] = 0
        batch.output[:count] = 0
        cast("Any", batch.output)[count - 1] = 1
        runtime.decode(count)
        position += count


if __name__ == "__main__":
    main()
