"""Which file on the hub, or here, a name of Ollama's means."""

from pathlib import Path

import pytest

from app.catalog.entries import ModelEntry
from app.catalog.hub_names import HubName, choose_file, find_entry, is_exact_name, read_hub_name

FILES = (
    "README.md",
    "mmproj-model-f16.gguf",
    "model-Q2_K.gguf",
    "model-Q4_K_M.gguf",
    "model-IQ4_XS.gguf",
    "model-UD-Q8_0-00001-of-00002.gguf",
    "model-UD-Q8_0-00002-of-00002.gguf",
    "BF16/model-BF16.gguf",
)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("hf.co/a/b", HubName("a/b")),
        ("hf.co/a/b:latest", HubName("a/b")),
        ("huggingface.co/a.x/b-GGUF:Q8_0", HubName("a.x/b-GGUF", "Q8_0")),
        ("hf.co/a", None),
        ("hf.co/a/b/c", None),
        ("hf.co/../b", None),
        ("hf://a/b/c.gguf", None),
        ("qwen3:4b", None),
    ],
)
def test_reading(name: str, read: HubName | None) -> None:
    assert read_hub_name(name) == read


@pytest.mark.parametrize(
    ("quant", "file"),
    [
        (None, "model-Q4_K_M.gguf"),
        ("q4_k_m", "model-Q4_K_M.gguf"),
        ("Q8_0", "model-UD-Q8_0-00001-of-00002.gguf"),
        ("UD-Q8_0", "model-UD-Q8_0-00001-of-00002.gguf"),
        ("BF16", "BF16/model-BF16.gguf"),
        ("IQ4_XS", "model-IQ4_XS.gguf"),
        ("4_XS", None),
        ("Q4_K", None),
        ("f16", None),
    ],
)
def test_choosing(quant: str | None, file: str | None) -> None:
    assert choose_file(HubName("a/b", quant), FILES) == file


def test_choosing_where_the_usual_one_is_not() -> None:
    assert choose_file(HubName("a/b"), ["z-Q8_0.gguf", "z-Q5_0.gguf"]) == "z-Q5_0.gguf"
    assert choose_file(HubName("a/b"), ["config.json", "mmproj-z.gguf"]) is None


def test_what_is_here() -> None:
    entries = [
        ModelEntry("named", (Path("/m/a/b/z-Q8_0.gguf"),), 1, 0, None),
        ModelEntry("c/b/z-Q4_0", (Path("/m/c/b/z-Q4_0.gguf"),), 1, 0, None),
    ]
    found = find_entry("hf.co/a/b", entries)
    assert found is not None
    assert found.id == "named"
    assert find_entry("hf.co/c/b:q4_0", entries) is entries[1]
    assert find_entry("hf.co/c/b:Q8_0", entries) is None
    assert find_entry("a/b", entries) is None


@pytest.mark.parametrize(
    ("name", "file", "is_exact"),
    [
        ("hf.co/a/b:Q8_0", "z-Q8_0.gguf", True),
        ("hf.co/a/b:q8_0", "BF16/z-Q8_0-00001-of-00002.gguf", True),
        ("hf.co/a/b", "z-Q4_K_M.gguf", True),
        ("hf.co/a/b:latest", "z-Q4_K_M.gguf", True),
        ("hf.co/a/b", "z-Q8_0.gguf", False),
        ("hf.co/c/b:Q8_0", "z-Q8_0.gguf", False),
        ("a/b/z-Q8_0", "z-Q8_0.gguf", False),
    ],
)
def test_what_is_meant_for_itself(name: str, file: str, is_exact: bool) -> None:
    entry = ModelEntry("z", (Path("/m/a/b") / file,), 1, 0, None)
    assert is_exact_name(name, entry) is is_exact
