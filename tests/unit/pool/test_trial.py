"""Files that crash llama.cpp do so in a process of their own, once they got past the reader."""

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from app.catalog.adapters import AdapterFile
from app.catalog.entries import ModelEntry, build_catalog
from app.config.manifest import Manifest
from app.core.adapters import AdapterInfo
from app.core.errors import ModelLoadFailed
from app.pool import trial
from app.pool.trial import Trials
from scripts.make_gguf import (
    TINY_LLAMA,
    make_adapter,
    write_adapter,
    write_encoder,
    write_tiny_llama,
)

Write = Callable[[Path], None]


def entry_of(path: Path) -> ModelEntry:
    (entry,) = build_catalog(Manifest(builtin=False), path.parent, path.parent)
    return entry


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "models" / "m.gguf"
    path.parent.mkdir()
    write_tiny_llama(path)
    return path


def damage(path: Path) -> None:
    """The header stays whole, so that only llama.cpp can find what is wrong."""
    data = bytearray(path.read_bytes())
    at = data.find(b"llama.block_count") + len(b"llama.block_count") + 4
    data[at] = 99
    path.write_bytes(data)


async def test_a_good_file_is_tried_once(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = model.parent.parent / "kept"
    await Trials(kept).check(entry_of(model))
    assert len(list(kept.iterdir())) == 1

    def refuse(*_: object) -> None:
        raise AssertionError("tried again")

    monkeypatch.setattr(trial, "_try", refuse)
    await Trials(kept).check(entry_of(model))
    write_tiny_llama(model)  # another file under the same name
    with pytest.raises(AssertionError, match="tried again"):
        await Trials(kept).check(entry_of(model))


async def test_an_encoder_passes(tmp_path: Path) -> None:
    write_encoder(tmp_path / "bert.gguf")
    await Trials(tmp_path / "kept").check(entry_of(tmp_path / "bert.gguf"))


async def test_a_bad_file_is_named_with_what_llama_cpp_said(model: Path, tmp_path: Path) -> None:
    damage(model)
    kept = tmp_path / "kept"
    with pytest.raises(ModelLoadFailed, match=r"m\.gguf cannot be loaded: .*'blk\.2\.") as caught:
        await Trials(kept).check(entry_of(model))
    assert "log lines" not in caught.value.message
    assert not kept.exists()


async def test_an_adapter_that_ends_llama_cpp_is_named(model: Path, tmp_path: Path) -> None:
    """Its header passes; llama.cpp aborts where alpha is no fraction."""
    path = write_adapter(tmp_path / "bad.gguf", make_adapter(TINY_LLAMA))
    data = bytearray(path.read_bytes())
    data[data.find(b"adapter.lora.alpha") + len(b"adapter.lora.alpha")] = 4
    path.write_bytes(data)
    entry = replace(entry_of(model), lora=(AdapterFile(path, AdapterInfo("x", path.name, 0, 0)),))
    kept = tmp_path / "kept"
    with pytest.raises(ModelLoadFailed, match=r"bad\.gguf cannot be loaded: .*SIGABRT"):
        await Trials(kept).check(entry)
    assert len(list(kept.iterdir())) == 1, "the model itself is good"
    write_adapter(path, make_adapter(TINY_LLAMA))
    await Trials(kept).check(entry)
    assert len(list(kept.iterdir())) == 2


async def test_a_directory_that_cannot_be_written_does_not_matter(model: Path) -> None:
    trials = Trials(model / "not-a-directory")
    await trials.check(entry_of(model))


async def test_it_can_be_stopped(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelLoadFailed, match="stopped"):
        await Trials(tmp_path / "kept").check(entry_of(model), lambda: True)


@pytest.mark.parametrize(
    ("code", "output", "expected"),
    [
        (0, "", None),
        (1, "llama_model_load: error loading model: x\n", "error loading model: x"),
        (1, "", "its process ended with code 1"),
        (
            -signal.SIGABRT,
            "noise\n/src/llama.cpp/ggml/src/ggml.c:17: GGML_ASSERT(a == b) failed\nmore\n",
            "llama.cpp crashed (SIGABRT): GGML_ASSERT(a == b) failed",
        ),
        (-signal.SIGSEGV, "", "llama.cpp crashed (SIGSEGV)"),
    ],
)
def test_what_is_said(code: int, output: str, expected: str | None) -> None:
    assert trial._explain(code, output) == expected  # pyright: ignore[reportPrivateUsage]
