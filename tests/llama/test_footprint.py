"""The estimate of a model's memory against what llama.cpp then allocates."""

from pathlib import Path

import gguf
import numpy as np
import pytest

from app.catalog.entries import build_catalog
from app.config.manifest import Manifest
from app.config.settings import Settings
from app.core.adapters import make_set
from app.core.options import KvType
from app.engine.prefix.store import PrefixStore
from app.llama.context import ContextOptions, LlamaRuntime
from app.llama.embedding import EmbeddingOptions, EmbeddingRuntime
from app.llama.footprint import count_buffers, count_on_devices, estimate, lacked_memory
from app.llama.library import listen
from app.llama.model import Model, ModelOptions
from app.pool.loader import LlamaLoader
from scripts.make_gguf import (
    ARCHITECTURES,
    make_adapter,
    write_adapter,
    write_encoder,
    write_tiny,
)
from tests.llama.conftest import BUILTIN
from tests.llama.memory_cases import decode

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


@pytest.mark.parametrize("architecture", ["llama", "qwen3", "gemma3", "lfm2"])
def test_adapters_take_their_files(architecture: str, tmp_path: Path) -> None:
    """The compute graph under adapters fits into the buffers of the one without, or nearly."""
    path = write_tiny(tmp_path / "m.gguf", architecture)
    files = [
        write_adapter(
            tmp_path / f"{seed}.gguf", make_adapter(ARCHITECTURES[architecture], rank=16, seed=seed)
        )
        for seed in range(2)
    ]
    options = LAYOUTS[0]
    bare = estimate(path, ModelOptions(), options)
    guessed = bare.with_weights(sum(file.stat().st_size for file in files))
    model = Model.load(path, ModelOptions())
    for file in files:
        model.load_adapter(file.name, file)
    with listen() as lines:
        runtime = LlamaRuntime(model, options)
    caches = count_buffers([line for line in lines if "compute buffer" not in line])
    with listen() as lines:
        runtime.adapt(make_set([(file.name, 1.0) for file in files]))
        assert decode(runtime, [(5, 0, 0)]) is not None
    loaded = sum(matrix.nbytes for file in files for matrix in _matrices(file))
    weights = model.size - sum(file.stat().st_size for file in files)
    taken = weights + caches + loaded + count_buffers(lines)
    runtime.close()
    model.close()
    assert weights == bare.weights
    assert guessed.total == pytest.approx(taken, rel=0.1)
    assert sum(guessed.weights_on.values()) == pytest.approx(guessed.weights, abs=2)


def _matrices(adapter: Path) -> list[np.ndarray]:
    return [tensor.data for tensor in gguf.GGUFReader(adapter).tensors]


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


@pytest.mark.parametrize("kv_type", ["f32", "q8_0", "q4_0"])
@pytest.mark.parametrize("architecture", ["qwen3", "gemma3", "lfm2"])
def test_a_cache_of_any_type_takes_what_was_estimated(
    architecture: str, kv_type: KvType, tmp_path: Path
) -> None:
    path = write_tiny(tmp_path / "m.gguf", architecture)
    options = ContextOptions(65_536, 4, threads=1, kv_type=kv_type, flash_attention="on")
    guessed = estimate(path, ModelOptions(), options)
    with listen() as lines:
        model = Model.load(path, ModelOptions())
        runtime = LlamaRuntime(model, options)
    taken = model.size + count_buffers(lines)
    runtime.close()
    model.close()
    assert guessed.total == pytest.approx(taken, rel=0.1)
    assert sum(guessed.total_on.values()) == pytest.approx(guessed.total, rel=0.01)


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("embeds", [True, False])
async def test_draft_and_replicas_are_counted(replicas: int, embeds: bool, tmp_path: Path) -> None:
    said = {
        "id": "m",
        "source": "builtin://corral-tiny",
        "draft": {"source": "builtin://corral-tiny"},
        "replicas": replicas,
        "embedding": {"enabled": embeds},
    }
    manifest = Manifest.model_validate({"builtin": False, "models": [said]})
    (entry,) = build_catalog(manifest, tmp_path, tmp_path)
    settings = Settings(use_gpu="off", threads=1, context_size=4096, try_new_files=False)
    loader = LlamaLoader(settings, lambda _: lambda _: None, PrefixStore(0))
    guessed = await loader.measure(entry)
    resident = await loader.load(entry, lambda _: None)
    hot, weights = resident.memory, resident.weights
    await resident.cool()
    assert resident.memory == weights == guessed.weights
    await resident.close()
    assert guessed.total == pytest.approx(hot, rel=0.1)


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
    assert count_on_devices(lines) == {"CPU": 75 * 2**20}
    assert not lacked_memory(lines)
    failed = "ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 9"
    assert lacked_memory([failed])


def test_what_the_log_says_of_devices() -> None:
    """Lines as llama.cpp writes them for two GPUs: a cache lies where its layers are."""
    lines = [
        "llama_context:  CUDA_Host  output buffer size =     2.00 MiB",
        "llama_kv_cache: layer   0: dev = CUDA0",
        "llama_kv_cache: layer   1: dev = CUDA0",
        "llama_kv_cache: layer   2: dev = CUDA1",
        "llama_kv_cache: layer   3: dev = CPU",
        "llama_kv_cache:      CUDA0 KV buffer size =     0.00 MiB",
        "llama_kv_cache: size =  400.00 MiB ( 32768 cells,   4 layers,  1/1 seqs), K: 200.00 MiB",
        "llama_memory_recurrent, layer   0: dev = CUDA1",
        "llama_memory_recurrent: size =    8.00 MiB (     1 cells,   1 layers,  1 seqs  0 rs_seq)",
        "sched_reserve:      CUDA0 compute buffer size =    50.00 MiB",
        "sched_reserve:      CUDA1 compute buffer size =    40.00 MiB",
    ]
    found = {name: size / 2**20 for name, size in count_on_devices(lines).items()}
    assert found == {"CUDA_Host": 2, "CUDA0": 250, "CUDA1": 148, "CPU": 100}
    assert count_buffers(lines) == 500 * 2**20
