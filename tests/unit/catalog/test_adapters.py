"""Adapters in the manifest: what is read of their files, and what stands in the way."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from app.catalog.entries import ModelEntry, build_catalog
from app.catalog.orders import wishes_of
from app.catalog.verify import Verifier
from app.config.manifest import read_manifest
from app.core.errors import ConfigurationError, ModelLoadFailed
from scripts.make_gguf import (
    ARCHITECTURES,
    TINY_LLAMA,
    make_adapter,
    write_adapter,
    write_encoder,
    write_tiny_llama,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tiny_llama(tmp_path / "m.gguf")
    write_adapter(tmp_path / "sql.gguf", make_adapter(TINY_LLAMA))
    return tmp_path


def catalog(folder: Path, lora: str, source: str = "m.gguf") -> tuple[ModelEntry, ...]:
    path = folder / "models.yaml"
    path.write_text(
        f"builtin: false\nmodels:\n  - id: m\n    source: {source}\n    aliases: [n]\n"
        f"    lora:\n      - {lora}\n"
    )
    return build_catalog(read_manifest(path), folder, folder)


def test_an_adapter_belongs_to_its_model_and_is_none_itself(folder: Path) -> None:
    (entry,) = catalog(folder, "{id: sql, source: sql.gguf, scale: 0.5}")
    (adapter,) = entry.lora
    size = (folder / "sql.gguf").stat().st_size
    assert (adapter.info.name, adapter.info.file, adapter.info.scale) == ("sql", "sql.gguf", 0.5)
    assert (adapter.path, adapter.info.size) == (folder / "sql.gguf", size)
    assert entry.names == ("m", "n", "m:sql", "n:sql")
    assert entry.error is None


def test_a_found_file_does_not_take_the_name_of_a_model_with_an_adapter(folder: Path) -> None:
    write_tiny_llama(folder / "m:sql.gguf")
    found = catalog(folder, "{id: sql, source: sql.gguf}")
    assert [entry.id for entry in found] == ["m"]


async def test_files_that_are_no_adapters_of_the_model(folder: Path) -> None:
    whole = (folder / "sql.gguf").read_bytes()
    (folder / "short.gguf").write_bytes(whole[:-100])
    write_adapter(folder / "other.gguf", make_adapter(ARCHITECTURES["qwen3"]))
    write_adapter(folder / "later.gguf", make_adapter(TINY_LLAMA), invocation=(1, 2))
    write_encoder(folder / "bert.gguf")
    for file, reason in {
        "m.gguf": "is not a LoRA adapter",
        "short.gguf": "cut short: tensor",
        "other.gguf": "is for models of the architecture qwen3, not llama",
        "later.gguf": "is an activated LoRA (aLoRA), which is not supported",
    }.items():
        (entry, *_) = catalog(folder, f"{{id: x, source: {file}}}")
        assert (entry.error or "").startswith(f"its adapter {file} {reason}")
        with pytest.raises(ModelLoadFailed, match=f"its adapter {file}"):
            await Verifier().verify(entry)


def test_an_encoder_has_no_use_for_adapters(folder: Path) -> None:
    write_encoder(folder / "bert.gguf")
    adapter = replace(make_adapter(TINY_LLAMA), architecture="bert")
    write_adapter(folder / "for-bert.gguf", adapter)
    (entry, *_) = catalog(folder, "{id: x, source: for-bert.gguf}", source="bert.gguf")
    assert entry.error == "its adapter for-bert.gguf has no use: the model does not generate"


def test_a_file_that_is_not_there_is_told_with_its_line(folder: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        catalog(folder, "{id: x, source: absent.gguf}")
    where = f"{folder / 'models.yaml'}:7: models[0].lora[0].source"
    assert caught.value.message == f"{where}: there is no file {folder / 'absent.gguf'}"


async def test_its_digest_is_checked(folder: Path) -> None:
    digest = hashlib.sha256((folder / "sql.gguf").read_bytes()).hexdigest()
    (right,) = catalog(folder, f"{{id: x, source: sql.gguf, sha256: {digest.upper()}}}")
    await Verifier().verify(right)
    (wrong,) = catalog(folder, f"{{id: x, source: sql.gguf, sha256: '{'0' * 64}'}}")
    with pytest.raises(
        ModelLoadFailed, match=rf"sql\.gguf cannot be used: its SHA-256 is {digest}"
    ):
        await Verifier().verify(wrong)


def test_one_that_is_not_pulled_is_waited_for(folder: Path) -> None:
    (entry,) = catalog(folder, "{id: x, source: 'hf://maker/model/x.gguf'}")
    assert (entry.is_here, entry.error) == (False, None)
    (wish,) = wishes_of(read_manifest(folder / "models.yaml"))
    assert [str(order.place) for order in wish.orders] == ["maker/model/x.gguf"]
