"""The loader on real files: what comes out, and that nothing is left behind on failure."""

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from app.catalog.entries import ModelEntry, build_catalog
from app.config.manifest import Manifest
from app.config.settings import Settings
from app.core.adapters import make_set
from app.core.errors import ModelLoadFailed, OutOfMemory
from app.core.requests import SamplingParams
from app.engine.messages import SequenceFinished, SequenceOutput, SequenceSpec
from app.engine.prefix.store import PrefixStore
from app.llama import library
from app.llama.model import Model, ModelOptions
from app.pool.contexts import adapter_keys, state_key
from app.pool.loader import LlamaLoader
from app.pool.replicas import Replicas
from app.pool.resident import Resident
from scripts.make_gguf import (
    TINY_LLAMA,
    make_adapter,
    write_adapter,
    write_encoder,
    write_tiny,
    write_tiny_llama,
)
from tests.support.fake_runtime import FakeRuntime
from tests.support.streams import outputs_of

SETTINGS = Settings(threads=1, use_gpu="off", context_size=256, max_sequences=2)


def loader() -> LlamaLoader:
    return LlamaLoader(SETTINGS, lambda _: lambda _: None, PrefixStore(0))


async def load(entry: ModelEntry, using: LlamaLoader | None = None) -> Resident:
    return await (using or loader()).load(entry, lambda _: None)


async def test_a_decoder_generates_and_embeds(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path / "m.gguf")
    (entry,) = build_catalog(Manifest(builtin=False), tmp_path, tmp_path)
    resident = await load(entry)
    loaded = resident.loaded
    try:
        assert loaded.info.device == "CPU"
        assert loaded.info.context_window == 256
        assert loaded.template is not None
        assert loaded.constraints is not None
        assert loaded.engine is not None
        prompt = tuple(loaded.tokenizer.tokenize("hello", add_special=True, parse_special=False))
        spec = SequenceSpec("1", prompt, max_tokens=4, sampling=SamplingParams(), ignore_eos=True)
        (stream,) = loaded.engine.submit((spec,))
        outputs = [output async for output in outputs_of(stream)]
        assert isinstance(outputs[-1], SequenceFinished)
        assert loaded.embedder is not None
        vectors = await loaded.embedder.embed([list(prompt)])
        assert vectors.shape == (1, loaded.info.embedding_size)
    finally:
        await resident.close()


@pytest.mark.parametrize("architecture", ["gemma3", "lfm2"])
async def test_the_cache_can_be_split_and_windows_kept_whole(
    architecture: str, tmp_path: Path
) -> None:
    write_tiny(tmp_path / "m.gguf", architecture)
    (entry,) = build_catalog(Manifest(builtin=False), tmp_path, tmp_path)
    settings = SETTINGS.model_copy(update={"kv_unified": False, "swa_full": True})
    made = LlamaLoader(settings, lambda _: lambda _: None, PrefixStore(0))
    resident = await load(entry, made)
    try:
        engine = resident.loaded.engine
        assert engine is not None
        prompt = tuple(range(40))
        specs = tuple(
            SequenceSpec(name, prompt, max_tokens=4, sampling=SamplingParams()) for name in "abc"
        )
        for stream in engine.submit(specs):
            assert isinstance([output async for output in outputs_of(stream)][-1], SequenceFinished)
    finally:
        await resident.close()


def adapted_entry(folder: Path) -> ModelEntry:
    write_tiny_llama(folder / "m.gguf")
    for seed, name in enumerate(("a", "b")):
        write_adapter(folder / f"{name}.gguf", make_adapter(TINY_LLAMA, seed=seed, rank=8))
    adapters = [{"id": name, "source": f"{name}.gguf"} for name in ("a", "b")]
    model = {"id": "m", "source": "m.gguf", "lora": adapters}
    manifest = Manifest.model_validate({"builtin": False, "models": [model]})
    (entry,) = build_catalog(manifest, folder, folder)
    return entry


async def test_adapters_are_loaded_with_their_model_and_counted(tmp_path: Path) -> None:
    entry = adapted_entry(tmp_path)
    size = sum((tmp_path / f"{name}.gguf").stat().st_size for name in ("a", "b"))
    bare = await loader().measure(replace(entry, lora=()))
    whole = await loader().measure(entry)
    assert (whole.weights, whole.contexts) == (bare.weights + size, bare.contexts)
    resident = await load(entry)
    try:
        engine = resident.loaded.engine
        assert engine is not None
        assert [one.name for one in resident.loaded.info.adapters] == ["a", "b"]
        sets = [make_set(chosen) for chosen in ([], [("a", 1.0)], [("a", 1.0), ("b", -0.5)])]
        params = SamplingParams(temperature=0)
        specs = tuple(
            SequenceSpec(str(index), (1, 2, 3), 8, params, ignore_eos=True, adapters=adapters)
            for index, adapters in enumerate(sets)
        )
        texts: list[str] = []
        for stream in engine.submit(specs[:2]) + engine.submit(specs[2:]):
            outputs = [output async for output in outputs_of(stream)]
            texts.append("".join(o.text for o in outputs if isinstance(o, SequenceOutput)))
        assert len(set(texts)) == 3
        assert engine.stats.adapters_running == {"a": 0, "b": 0}
        assert resident.weights == whole.weights
        assert resident.memory >= whole.total
        await resident.cool()
        await resident.heat()
        again = resident.loaded.engine
        assert again is not None
        (stream,) = again.submit(specs[1:2])
        outputs = [output async for output in outputs_of(stream)]
        warmed = "".join(o.text for o in outputs if isinstance(o, SequenceOutput))
        assert warmed == texts[1], "adapters stay while a model is warm"
    finally:
        await resident.close()


async def test_an_adapter_of_another_model_is_told_without_a_trial_too(tmp_path: Path) -> None:
    library.init(lambda _level, _line: None)  # the reason stands in llama.cpp's log
    entry = adapted_entry(tmp_path)
    write_adapter(tmp_path / "b.gguf", make_adapter(replace(TINY_LLAMA, hidden=96)))
    settings = SETTINGS.model_copy(update={"try_new_files": False})
    made = LlamaLoader(settings, lambda _: lambda _: None, PrefixStore(0))
    with pytest.raises(ModelLoadFailed, match=r"adapter b\.gguf cannot be loaded: .*shape"):
        await load(entry, made)


async def test_an_adapter_without_room_is_a_lack_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lack(*_: object) -> None:
        raise ModelLoadFailed("failed to allocate buffer for lora adapter")

    monkeypatch.setattr("app.llama.model.load_adapter", lack)
    settings = SETTINGS.model_copy(update={"try_new_files": False})
    made = LlamaLoader(settings, lambda _: lambda _: None, PrefixStore(0))
    with pytest.raises(OutOfMemory, match=r"adapter a\.gguf cannot be loaded"):
        await load(adapted_entry(tmp_path), made)


def test_states_under_an_adapter_serve_the_same_file_only(tmp_path: Path) -> None:
    entry = adapted_entry(tmp_path)
    before = adapter_keys(entry)
    assert len(set(before.values())) == 2
    os.utime(tmp_path / "a.gguf", (0, 0))
    after = adapter_keys(entry)
    assert (after["a"] != before["a"], after["b"] != before["b"]) == (True, False)
    assert state_key(SETTINGS, entry) == state_key(SETTINGS, replace(entry, lora=()))


class SlowlyFreed(FakeRuntime):
    def close(self) -> None:
        time.sleep(0.3)
        super().close()


async def test_the_dead_are_freed_first_and_those_that_could_be_made_are_counted(
    tmp_path: Path,
) -> None:
    write_tiny_llama(tmp_path / "m.gguf")
    (entry,) = build_catalog(Manifest(builtin=False), tmp_path, tmp_path)
    made: list[SlowlyFreed] = []
    living: list[int] = []

    def make(*_: object) -> SlowlyFreed:
        living.append(sum(not one.is_closed for one in made))
        if len(living) == 4:
            raise OutOfMemory("no")
        made.append(SlowlyFreed())
        return made[-1]

    using = LlamaLoader(SETTINGS, lambda _: lambda _: None, PrefixStore(0), make)
    resident = await load(replace(entry, replicas=2), using)
    try:
        engines = resident.loaded.engine
        assert isinstance(engines, Replicas)
        for name, runtime in zip("ab", made, strict=True):
            runtime.fail_with = RuntimeError("gone")
            engines.submit((SequenceSpec(name, (1, 2, 3), 4, SamplingParams()),))
        async with asyncio.timeout(5):
            while len(engines.dead) < 2:  # noqa: ASYNC110  # as an outsider sees it
                await asyncio.sleep(0.001)
        assert await resident.mend() == 1
        assert len(engines.dead) == 1
        assert await resident.mend() == 1
        assert not resident.is_damaged
        assert living[2] < 2, "the first was freed before there was another"
        assert living[3:] == [1, 1], "the second too"
    finally:
        await resident.close()


async def test_an_encoder_only_embeds(tmp_path: Path) -> None:
    write_encoder(tmp_path / "m.gguf")
    (entry,) = build_catalog(Manifest(builtin=False), tmp_path, tmp_path)
    resident = await load(entry)
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
    resident = await load(entry)
    try:
        assert resident.loaded.embedder is None
        assert "embedding" not in resident.loaded.info.capabilities
    finally:
        await resident.close()


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[Model]:
    """Models whose weights were freed."""
    found: list[Model] = []
    close = Model.close

    def note(model: Model) -> None:
        found.append(model)
        close(model)

    monkeypatch.setattr(Model, "close", note)
    return found


async def test_whatever_fails_after_the_load_frees_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: list[Model]
) -> None:
    def fail(*_: object) -> None:
        raise FileNotFoundError

    write_tiny_llama(tmp_path / "m.gguf")
    (entry,) = build_catalog(Manifest(builtin=False), tmp_path, tmp_path)
    monkeypatch.setattr("app.pool.resident.describe", fail)
    with pytest.raises(FileNotFoundError):
        await load(entry)
    assert len(closed) == 1


@pytest.mark.parametrize("name", ["m.gguf", "b.gguf"])
async def test_a_file_that_changes_during_its_load_is_not_served(
    name: str, tmp_path: Path, closed: list[Model]
) -> None:
    entry = adapted_entry(tmp_path)

    def show(_share: float) -> None:
        os.utime(tmp_path / name, (0, 0))

    made = LlamaLoader(SETTINGS, lambda _: show, PrefixStore(0))
    with pytest.raises(ModelLoadFailed, match="'m' changed while it was loaded"):
        await load(entry, made)
    assert len(closed) == 1
    resident = await load(entry)
    await resident.close()


def test_recommended_sampling_that_is_no_number_is_passed_over(tmp_path: Path) -> None:
    model = Model.load(write_tiny_llama(tmp_path / "m.gguf"), ModelOptions(gpu_layers=0))
    said = {"temp": "warm", "top_k": "1.5", "top_p": "0.5", "mirostat": "2"}
    model.metadata |= {f"general.sampling.{key}": value for key, value in said.items()}
    assert model.sampling_defaults == {"top_p": 0.5, "mirostat": 2}
    model.close()


async def test_a_damaged_file_never_reaches_llama_cpp(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "m.gguf")
    path.write_bytes(path.read_bytes()[:-100])
    (entry,) = build_catalog(Manifest(builtin=False), tmp_path, tmp_path)
    with pytest.raises(ModelLoadFailed, match=r"m\.gguf cannot be used: cut short: tensor"):
        await load(entry)


async def test_a_stopped_load_fails_soon(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path / "m.gguf")
    (entry,) = build_catalog(Manifest(builtin=False), tmp_path, tmp_path)
    shares: list[float] = []

    def show(share: float) -> None:
        shares.append(share)
        stopping.stop()

    stopping = LlamaLoader(SETTINGS, lambda _: show, PrefixStore(0))
    with pytest.raises(ModelLoadFailed, match="stopped"):
        await load(entry, stopping)
    assert len(shares) == 1
    with pytest.raises(ModelLoadFailed, match="stopped"):
        await load(entry, stopping)
    assert len(shares) == 1


async def test_more_sequences_than_a_step_has_tokens(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path / "m.gguf")
    model = {"id": "m", "source": "m.gguf", "max_sequences": 100}
    manifest = Manifest.model_validate({"builtin": False, "models": [model]})
    (entry,) = build_catalog(manifest, tmp_path, tmp_path)
    settings = SETTINGS.model_copy(update={"step_tokens": 64, "kv_size": 4096})
    resident = await load(entry, LlamaLoader(settings, lambda _: lambda _: None, PrefixStore(0)))
    try:
        engine = resident.loaded.engine
        assert engine is not None
        specs = tuple(
            SequenceSpec(str(i), (1, 2, 3), 8, SamplingParams(), ignore_eos=True)
            for i in range(100)
        )
        for stream in engine.submit(specs):
            outputs = [output async for output in outputs_of(stream)]
            assert isinstance(outputs[-1], SequenceFinished)
        assert engine.stats.is_alive
    finally:
        await resident.close()


@pytest.mark.parametrize(
    ("template", "error", "capabilities"),
    [
        ("{% for %}", "broken", {"completion", "embedding"}),
        ("{{ 1 / 0 }}", "division", {"chat", "completion", "embedding"}),
        ("{# tools #}{{ messages[0].content }}", None, {"chat", "completion", "embedding"}),
        (
            "{{ tools }}{{ messages[0].content }}</think>",
            None,
            {"chat", "completion", "tools", "reasoning", "embedding"},
        ),
    ],
)
async def test_the_template_is_tried_at_load(
    tmp_path: Path, template: str, error: str | None, capabilities: set[str]
) -> None:
    write_tiny_llama(tmp_path / "m.gguf")
    model = {"id": "m", "source": "m.gguf", "chat_template": template}
    manifest = Manifest.model_validate({"builtin": False, "models": [model]})
    (entry,) = build_catalog(manifest, tmp_path, tmp_path)
    resident = await load(entry)
    await resident.close()
    info = resident.loaded.info
    assert set(info.capabilities) == capabilities
    assert (error or "") in (info.error or "")
    assert (info.error is None) == (error is None)


def test_saved_states_serve_the_same_file_and_layout_only(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    write_tiny_llama(path)
    (entry,) = build_catalog(Manifest(builtin=False), tmp_path, tmp_path)
    changes: list[dict[str, object]] = [
        {},
        {"kv_type": "q8_0"},
        {"flash_attention": "on"},
        {"swa_full": True},
        {"kv_unified": False},
        {"kv_unified": False, "max_sequences": 3},
    ]
    keys = [state_key(SETTINGS.model_copy(update=change), entry) for change in changes]
    second = write_tiny_llama(tmp_path / "second.gguf")
    keys.append(state_key(SETTINGS, replace(entry, paths=(path, second))))
    os.utime(second, (0, 0))
    keys.append(state_key(SETTINGS, replace(entry, paths=(path, second))))
    os.utime(path, (0, 0))
    keys.append(state_key(SETTINGS, entry))
    assert len(set(keys)) == len(keys)
    assert state_key(SETTINGS.model_copy(update={"threads": 2, "port": 1}), entry) == keys[-1]
