"""models.yaml: what is accepted, and how mistakes are reported."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from app.api.sampling import SamplingFields
from app.config.manifest import Manifest, Sampling, read_manifest, resolve_source
from app.core.errors import ConfigurationError
from app.core.ranges import SAMPLING


def write(folder: Path, text: str) -> Path:
    path = folder / "models.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def mistakes(folder: Path, text: str) -> list[str]:
    """The report's lines, the file's folder left out."""
    with pytest.raises(ConfigurationError) as caught:
        read_manifest(write(folder, text))
    return [line.removeprefix(f"{folder}/") for line in caught.value.message.splitlines()]


def test_a_whole_entry(tmp_path: Path) -> None:
    manifest = read_manifest(
        write(
            tmp_path,
            """
defaults:
  max_output_tokens: 100
models:
  - id: qwen/qwen3:4b
    source: files/q.gguf
    aliases: [gpt-4o-mini]
    context_window: 4096
    gpu_layers: -1
    pin: true
    sampling: {temperature: 1, top_k: 20, dry_sequence_breakers: ["x"]}
    embedding: {pooling: mean}
""",
        )
    )
    (entry,) = manifest.models
    assert entry.id == "qwen/qwen3:4b"
    assert entry.sampling.overrides() == {
        "temperature": 1.0,
        "top_k": 20,
        "dry_sequence_breakers": ("x",),
    }
    assert entry.embedding.pooling == "mean"
    assert manifest.defaults.max_output_tokens == 100
    assert manifest.builtin


@pytest.mark.parametrize("text", ["", "# nothing\n", "models: []\n"])
def test_an_empty_file_is_an_empty_manifest(tmp_path: Path, text: str) -> None:
    assert read_manifest(write(tmp_path, text)).model_dump() == Manifest().model_dump()


def test_every_mistake_is_reported_with_line_and_key(tmp_path: Path) -> None:
    text = """defaults:
  context_window: 0
models:
  - id: a
    source: x.gguf
    context_windw: 3
    sampling: {tempratur: 1}
  - id: a b
  - 5
  - id: c
    source: x.gguf
    pin: "yes"
colour: red
"""
    found = mistakes(tmp_path, text)
    assert "models.yaml:6: models[0].context_windw: unknown key; did you mean context_window?" in (
        found
    )
    assert (
        "models.yaml:7: models[0].sampling.tempratur: unknown key; did you mean temperature?"
        in (found)
    )
    assert "models.yaml:8: models[1].source: this key is required" in found
    assert "models.yaml:9: models[2]: must be a mapping of keys" in found
    assert "models.yaml:13: colour: unknown key; known here: builtin, defaults, models" in found
    for start in (
        "models.yaml:2: defaults.context_window: ",
        "models.yaml:8: models[1].id: 'a b' is not a model name",
        "models.yaml:12: models[3].pin: ",
    ):
        assert any(line.startswith(start) for line in found), start
    assert len(found) == 8


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("hf://org/model", "hf://org/model is not hf://OWNER/REPO/FILE.gguf[@REVISION]"),
        ("https://example.com/x.bin", "https://example.com/x.bin does not name a .gguf file"),
        ("https://me:secret@example.com/x.gguf", "a source holds no passwords"),
        ("ftp://example.com/x.gguf", "ftp:// is not a source"),
        ("builtin://other", "the only built-in model is builtin://corral-tiny"),
    ],
)
def test_sources_that_cannot_be_served(tmp_path: Path, source: str, hint: str) -> None:
    (line,) = mistakes(tmp_path, f"models:\n  - id: a\n    source: {source}\n")
    assert line.startswith("models.yaml:3: models[0].source: ")
    assert hint in line


def test_who_guesses_ahead(tmp_path: Path) -> None:
    text = """
defaults: {speculation: off, draft_tokens: 2}
models:
  - id: a
    source: x.gguf
    speculation: model
    draft: {source: y.gguf}
"""
    manifest = read_manifest(write(tmp_path, text))
    assert (manifest.defaults.speculation, manifest.defaults.draft_tokens) == ("off", 2)
    (entry,) = manifest.models
    assert entry.speculation == "model"
    assert entry.draft is not None
    assert entry.draft.source == "y.gguf"


@pytest.mark.parametrize(
    ("said", "mistake"),
    [
        ("speculation: model", "models[0]: speculation: model needs a draft"),
        ("speculation: fast", "models[0].speculation: input should be 'off', 'ngram', 'model'"),
        ("draft_tokens: 17", "models[0].draft_tokens: input should be less than or equal to 16"),
        ("draft: y.gguf", "models[0].draft: must be a mapping of keys"),
        ("draft: {sorce: y.gguf}", "models[0].draft.sorce: unknown key; did you mean source?"),
        ("draft: {source: hf://x/y}", "models[0].draft.source: hf://x/y is not hf://"),
    ],
)
def test_mistakes_about_who_guesses(tmp_path: Path, said: str, mistake: str) -> None:
    found = mistakes(tmp_path, f"models:\n  - {{id: a, source: x, {said}}}\n")
    assert any(line.startswith(f"models.yaml:2: {mistake}") for line in found), found


def test_a_name_belongs_to_one_model(tmp_path: Path) -> None:
    text = "models:\n  - {id: a, source: x}\n  - id: b\n    source: x\n    aliases: [c, a]\n"
    (line,) = mistakes(tmp_path, text)
    assert line == "models.yaml:5: models[1].aliases[1]: the name a already belongs to a"


def test_a_model_with_an_adapter_has_a_name_of_its_own(tmp_path: Path) -> None:
    text = """models:
  - id: a
    source: x
    aliases: [b]
    lora:
      - {id: sql, source: s.gguf}
      - {id: sql, source: t.gguf}
  - {id: b:sql, source: x}
"""
    assert mistakes(tmp_path, text) == [
        "models.yaml:7: models[0].lora[1].id: the name a:sql already belongs to a",
        "models.yaml:7: models[0].lora[1].id: the name b:sql already belongs to a",
        "models.yaml:8: models[1].id: the name b:sql already belongs to a",
    ]


@pytest.mark.parametrize(
    ("said", "mistake"),
    [
        ("{id: 'a:b', source: y}", "[0].id: 'a:b' is not a name of an adapter"),
        ("{id: latest, source: y}", "[0].id: 'latest' is not a name of an adapter"),
        ("{id: a, source: 'builtin://corral-tiny'}", "[0].source: no adapter is built in"),
        ("{id: a, source: 'hf://x/y'}", "[0].source: hf://x/y is not hf://"),
        ("{id: a, source: y, scale: 101}", "[0].scale: input should be less than or equal to 100"),
        ("{id: a, source: y, scale: .nan}", "[0].scale: input should be"),
        ("{id: a, sorce: y}", "[0].sorce: unknown key; did you mean source?"),
        ("y.gguf", "[0]: must be a mapping of keys"),
    ],
)
def test_mistakes_about_adapters(tmp_path: Path, said: str, mistake: str) -> None:
    found = mistakes(tmp_path, f"models:\n  - {{id: a, source: x, lora: [{said}]}}\n")
    assert any(line.startswith(f"models.yaml:2: models[0].lora{mistake}") for line in found), found


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("models:\n  - id: [a\nx: y\n", "models.yaml:3: "),
        ("a: 1\na: 2\n", "models.yaml:2: found duplicate key"),
        ("[]", "models.yaml:1: must be a mapping of keys"),
        ("a: \x01", "models.yaml: unacceptable character"),
        ("a: !!python/object:os.system {}", "models.yaml:1: could not determine a constructor"),
    ],
)
def test_what_is_not_yaml(tmp_path: Path, text: str, start: str) -> None:
    (line,) = mistakes(tmp_path, text)
    assert line.startswith(start)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nope\.yaml: cannot be read: No such file"):
        read_manifest(tmp_path / "nope.yaml")
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"a: \xff")
    with pytest.raises(ConfigurationError, match="is not UTF-8"):
        read_manifest(path)


def test_sources_become_paths(tmp_path: Path) -> None:
    assert resolve_source("x/y.gguf", tmp_path, tmp_path) == tmp_path / "x/y.gguf"
    assert resolve_source("/abs/y.gguf", tmp_path, tmp_path) == Path("/abs/y.gguf")
    assert resolve_source("file:///abs/a%20b.gguf", tmp_path, tmp_path) == Path("/abs/a b.gguf")
    assert resolve_source("~/y.gguf", tmp_path, tmp_path) == Path("~/y.gguf").expanduser()
    assert resolve_source("builtin://corral-tiny", tmp_path, tmp_path) is None


@pytest.mark.parametrize("name", SAMPLING)
def test_sampling_keeps_to_the_common_ranges(name: str) -> None:
    allowed = SAMPLING[name]
    assert Sampling.model_validate({name: int(allowed.high)})
    refused = [allowed.low - 1, allowed.high + 1, *([allowed.low] if allowed.is_open else [])]
    for value in refused:
        with pytest.raises(ValidationError):
            Sampling.model_validate({name: int(value)})
    assert allowed.is_open or Sampling.model_validate({name: int(allowed.low)})


@pytest.mark.parametrize("name", SAMPLING)
def test_a_manifest_accepts_what_a_request_may_ask_for(name: str) -> None:
    for value in (-2, -1, 0, 0.01, 1, 1.01, 2, 5, 5.01, 10, 11, 64, 100, 101, 2**31 - 1, 2**31):
        accepted: list[bool] = []
        for model in (Sampling, SamplingFields):
            try:
                model.model_validate({name: value})
                accepted.append(True)
            except ValidationError:
                accepted.append(False)
        assert accepted[0] == accepted[1], value
