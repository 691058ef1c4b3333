"""The estimate of a model's memory against what llama.cpp then allocates."""

from pathlib import Path

import pytest

from app.llama.context import ContextOptions, LlamaRuntime
from app.llama.embedding import EmbeddingOptions, EmbeddingRuntime
from app.llama.footprint import count_buffers, estimate, lacked_memory
from app.llama.library import listen
from app.llama.model import Model, ModelOptions
from scripts.make_gguf import ARCHITECTURES, write_encoder, write_tiny
from tests.llama.conftest import BUILTIN

LAYOUTS = (
    ContextOptions(kv_size=4096, max_sequences=8, threads=1),
    ContextOptions(kv_size=2048, max_sequences=4, threads=1, kv_type="q8_0", swa_full=True),
    ContextOptions(kv_size=4096, max_sequences=4, threads=1, kv_unified=False, ubatch_tokens=512),
)


@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name != "t5"])
@pytest.mark.parametrize("layout", range(len(LAYOUTS)))
def test_a_decoder_takes_what_was_estimated(
    architecture: str, layout: int, tmp_path: Path, llama_log: list[tuple[str, str]]
) -> None:
    path = write_tiny(tmp_path / "m.gguf", architecture)
    options = LAYOUTS[layout]
    spoken = len(llama_log)
    guessed = estimate(path, ModelOptions(), options)
    assert len(llama_log) == spoken  # nobody is told of what was only played
    with listen() as lines:
        model = Model.load(path, ModelOptions())
        runtime = LlamaRuntime(model, options)
    taken = model.size + count_buffers(lines)
    runtime.close()
    model.close()
    assert len(llama_log) > spoken
    assert guessed.total == pytest.approx(taken, rel=0.1)
    assert taken > model.size + 2**16


def test_an_encoder_takes_what_was_estimated(tmp_path: Path) -> None:
    path = write_encoder(tmp_path / "m.gguf")
    options = EmbeddingOptions(512, threads=1)
    guessed = estimate(path, ModelOptions(), None, options)
    with listen() as lines:
        model = Model.load(path, ModelOptions())
        runtime = EmbeddingRuntime(model, options)
    taken = model.size + count_buffers(lines)
    runtime.close()
    model.close()
    assert guessed.total == pytest.approx(taken, rel=0.1)


def test_a_larger_context_takes_more() -> None:
    small, large = (
        estimate(BUILTIN, ModelOptions(), ContextOptions(kv_size=size, max_sequences=4))
        for size in (4096, 65_536)
    )
    assert large.total > 4 * small.total


def test_what_the_log_says() -> None:
    lines = [
        "llama_context:        CPU  output buffer size =    19.00 MiB",
        "llama_kv_cache:        CPU KV buffer size =   384.00 MiB",
        "llama_kv_cache: size =  384.00 MiB ( 32768 cells,  24 layers, 33/1 seqs), K: 192.00 MiB",
        "llama_memory_recurrent: size =    7.00 MiB (    33 cells, ...)",
        "sched_reserve:        CPU compute buffer size =    56.00 MiB",
        "~llama_context:        CPU compute buffer size is  56.4204 MiB, matches expectation",
        "load_tensors:   CPU_Mapped model buffer size =   330.17 MiB",
    ]
    assert count_buffers(lines) == (19 + 384 + 7 + 56) * 2**20
    assert not lacked_memory(lines)
    failed = "ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 9"
    assert lacked_memory([failed])
