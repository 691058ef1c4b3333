"""The loader on real files: what comes out, and that nothing is left behind on failure."""

from pathlib import Path

import pytest

from app.catalog.entries import build_catalog
from app.config.manifest import Manifest
from app.config.settings import Settings
from app.core.errors import ModelLoadFailed
from app.core.requests import SamplingParams
from app.engine.messages import SequenceFinished, SequenceSpec
from app.pool.loader import LlamaLoader
from scripts.make_gguf import write_encoder, write_tiny_llama

SETTINGS = Settings(threads=1, use_gpu="off", context_size=256, max_sequences=2)


def loader() -> LlamaLoader:
    return LlamaLoader(SETTINGS, lambda _: lambda _: None)


async def test_a_decoder_generates_and_embeds(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path / "m.gguf")
    (entry,) = build_catalog(Manifest(builtin=False), tmp_path, tmp_path)
    resident = await loader().load(entry)
    loaded = resident.loaded
    try:
        assert loaded.info.device == "CPU"
        assert loaded.info.context_window == 256
        assert loaded.chat_template is not None
        assert loaded.constraints is not None
        assert loaded.engine is not None
        prompt = tuple(loaded.tokenizer.tokenize("hello", add_special=True, parse_special=False))
        spec = SequenceSpec("1", prompt, max_tokens=4, sampling=SamplingParams(), ignore_eos=True)
        (stream,) = loaded.engine.submit((spec,))
        outputs = [output async for output in stream]
        assert isinstance(outputs[-1], SequenceFinished)
        assert loaded.embedder is not None
        vectors = await loaded.embedder.embed([list(prompt)])
        assert vectors.shape == (1, loaded.info.embedding_size)
    finally:
        await resident.close()


async def test_an_encoder_only_embeds(tmp_path: Path) -> None:
    write_encoder(tmp_path / "m.gguf")
    (entry,) = build_catalog(Manifest(builtin=False), tmp_path, tmp_path)
    resident = await loader().load(entry)
    try:
        assert resident.loaded.engine is None
        assert resident.loaded.embedder is not None
    finally:
        await resident.close()


async def test_embeddings_can_be_refused(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path / "m.gguf")
    model = {"id": "m", "source": "m.gguf", "embedding": {"enabled": False}}
    manifest = Manifest.model_validate({"builtin": False, "models": [model]})
    (entry,) = build_catalog(manifest, tmp_path, tmp_path)
    resident = await loader().load(entry)
    try:
        assert resident.loaded.embedder is None
        assert "embedding" not in resident.loaded.info.capabilities
    finally:
        await resident.close()


async def test_a_damaged_file_never_reaches_llama_cpp(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "m.gguf")
    path.write_bytes(path.read_bytes()[:-100])
    (entry,) = build_catalog(Manifest(builtin=False), tmp_path, tmp_path)
    with pytest.raises(ModelLoadFailed, match=r"m\.gguf cannot be used: cut short: tensor"):
        await loader().load(entry)
