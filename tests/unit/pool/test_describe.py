"""What the list says of a model, and the sizes it is loaded with."""

from dataclasses import replace
from pathlib import Path

import pytest

from app.catalog.entries import ModelEntry, build_catalog
from app.config.manifest import Manifest
from app.config.settings import Settings
from app.pool.describe import decide_sizes, describe
from app.pool.resident import merge_sampling
from scripts.make_gguf import write_encoder, write_tiny_llama


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelEntry]:
    folder = tmp_path_factory.mktemp("models")
    write_tiny_llama(folder / "llama.gguf", context=100_000)
    write_encoder(folder / "bert.gguf")
    (folder / "broken.gguf").write_bytes(b"GGUF")
    found = build_catalog(Manifest(builtin=False), Path(), folder)
    return {one.id: one for one in found}


def test_the_context_is_the_models_own_within_a_cap(entries: dict[str, ModelEntry]) -> None:
    llama, settings = entries["llama"], Settings()
    sizes = decide_sizes(llama, settings)
    assert (sizes.context, sizes.kv, sizes.max_output) == (32_768, 32_768, 32_768)
    assert describe(llama, settings, "cold").context_trained == 100_000


def test_manifest_before_setting_before_model(entries: dict[str, ModelEntry]) -> None:
    llama, settings = entries["llama"], Settings(context_size=2048)
    assert decide_sizes(llama, settings).context == 2048
    said = replace(llama, context_window=4096, max_output_tokens=100)
    sizes = decide_sizes(said, settings)
    assert (sizes.context, sizes.kv, sizes.max_output) == (4096, 4096, 100)


def test_a_request_cannot_be_larger_than_the_cache(entries: dict[str, ModelEntry]) -> None:
    sizes = decide_sizes(entries["llama"], Settings(kv_size=1024))
    assert (sizes.context, sizes.kv, sizes.max_output) == (1024, 1024, 1024)


def test_in_a_split_cache_each_sequence_has_a_context(entries: dict[str, ModelEntry]) -> None:
    settings = Settings(kv_unified=False, context_size=1000, max_sequences=4)
    sizes = decide_sizes(entries["llama"], settings)
    assert (sizes.context, sizes.kv) == (1000, 4 * 1024)
    few = replace(entries["llama"], max_sequences=2)
    assert decide_sizes(few, settings).kv == 2 * 1024


def test_a_split_cache_of_a_given_size(entries: dict[str, ModelEntry]) -> None:
    settings = Settings(kv_unified=False, kv_size=2048, max_sequences=4)
    sizes = decide_sizes(entries["llama"], settings)
    assert (sizes.context, sizes.kv, sizes.max_output) == (512, 2048, 512)
    assert describe(entries["llama"], settings, "cold").context_window == 512
    least = decide_sizes(entries["llama"], Settings(kv_unified=False, kv_size=64))
    assert (least.context, least.kv) == (256, 32 * 256)


def test_a_split_cache_leaves_half_of_the_memory(
    entries: dict[str, ModelEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    header = entries["llama"].header
    assert header is not None
    cell = header.cell_size
    assert cell is not None
    monkeypatch.setattr("app.pool.describe.usable_memory", lambda: 2 * 8192 * cell)
    settings = Settings(kv_unified=False, max_sequences=4)
    assert decide_sizes(entries["llama"], settings).context == 2048
    monkeypatch.setattr("app.pool.describe.usable_memory", lambda: 2 * 8192 * 128 * 1024)
    unknown = replace(entries["llama"], header=None)
    assert decide_sizes(unknown, settings).context == 2048


def test_an_encoder_takes_what_it_was_trained_on(entries: dict[str, ModelEntry]) -> None:
    bert = entries["bert"]
    assert decide_sizes(bert, Settings(embedding_context_size=4096)).embedding == 512
    assert describe(bert, Settings(), "cold").capabilities == ("embedding",)


def test_capabilities(entries: dict[str, ModelEntry]) -> None:
    llama = entries["llama"]
    plain = describe(llama, Settings(), "cold").capabilities
    assert plain == ("chat", "completion", "tools", "embedding")
    templated = replace(llama, chat_template="{{ tools }}<think>", serves_embeddings=False)
    capabilities = describe(templated, Settings(), "cold").capabilities
    assert capabilities == ("chat", "completion", "tools", "reasoning")


def test_a_broken_file_says_why(entries: dict[str, ModelEntry]) -> None:
    told = describe(entries["broken"], Settings(), "failed")
    assert told.error is not None
    assert told.error.startswith("not a GGUF file")
    assert (told.architecture, told.capabilities) == ("unknown", ())


def test_sampling_of_manifest_over_file_over_llama_cpp(entries: dict[str, ModelEntry]) -> None:
    said = replace(entries["llama"], sampling={"temperature": 0.1})
    merged = merge_sampling(said, {"temperature": 0.5, "top_k": 7})
    assert (merged.temperature, merged.top_k, merged.top_p) == (0.1, 7, 0.95)
