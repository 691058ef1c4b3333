"""What stands beside a found file."""

import re
from pathlib import Path

import pytest

from app.catalog.entries import build_catalog
from app.catalog.store import ModelStore
from app.config.manifest import Manifest, Traits
from app.config.sidecar import is_written_here, read_sidecar, sidecar_of, write_sidecar
from app.pool.templates import check_templates
from scripts.make_gguf import write_tiny_llama


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("a.gguf", "a.corral.yaml"),
        ("lab/a:1b.q4.gguf", "lab/a:1b.q4.corral.yaml"),
        ("a-00001-of-00002.gguf", "a.corral.yaml"),
    ],
)
def test_where_it_is(name: str, place: str) -> None:
    assert sidecar_of(Path(name)) == Path(place)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    said = Traits.model_validate(
        {
            "system_prompt": "Line: one\n# and 'two' \u2713",
            "stop": ["END", "\n\n"],
            "sampling": {"temperature": 0.5},
            "keep_alive": -1,
        }
    )
    path = tmp_path / "a.corral.yaml"
    write_sidecar(path, said)
    assert read_sidecar(path) == said
    assert path.read_text().startswith("# Written by the API. ")
    assert is_written_here(path)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id: b", r"a\.corral\.yaml:1: id: unknown key"),
        ("stop: [1]", "stop"),
        ("\nsampling:\n  temperatur: 1", r":3: sampling\.temperatur: unknown key; did you mean"),
        ("a: [", "a.corral.yaml"),
        ("speculation: model", "needs a draft"),
        ("chat_template: other", "there is no template"),
        ("chat_template: ./none.jinja", "cannot be read"),
        ("chat_template: '{% if %}'", "chat_template"),
        ("tool_format: none", "there is no format"),
    ],
)
def test_a_mistake_is_the_error_of_that_model_alone(tmp_path: Path, text: str, words: str) -> None:
    write_tiny_llama(tmp_path / "a.gguf")
    write_tiny_llama(tmp_path / "b.gguf")
    (tmp_path / "a.corral.yaml").write_text(text)
    manifest = Manifest(builtin=False)
    first, second = check_templates(manifest, build_catalog(manifest, tmp_path, tmp_path))
    assert second.error is None
    assert re.search(words, first.error or "nothing")


def test_it_wins_over_defaults_and_the_manifest_over_it(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path / "a.gguf")
    (tmp_path / "a.corral.yaml").write_text("context_window: 64\nsystem_prompt: Hi\nstop: [x]\n")
    found = Manifest.model_validate(
        {"builtin": False, "defaults": {"context_window": 128, "max_output_tokens": 9}}
    )
    (entry,) = build_catalog(found, tmp_path, tmp_path)
    assert (entry.context_window, entry.max_output_tokens) == (64, 9)
    assert (entry.system_prompt, entry.stop) == ("Hi", ("x",))
    named = Manifest.model_validate({"builtin": False, "models": [{"id": "a", "source": "a.gguf"}]})
    (entry,) = build_catalog(named, tmp_path, tmp_path)
    assert (entry.context_window, entry.system_prompt, entry.stop) == (None, None, ())


def test_what_is_left_of_a_model_does_not_speak_of_another(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "a.gguf")
    (tmp_path / "b.corral.yaml").write_text("system_prompt: Old.\n")
    ModelStore(tmp_path).copy({"": path}, "b")
    assert not (tmp_path / "b.corral.yaml").exists()


@pytest.mark.parametrize("text", ["", "# Written by the API.\n", "stop: [x]\n", "\xff"])
def test_what_people_wrote_is_theirs(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.corral.yaml"
    assert not is_written_here(path)
    path.write_text(text, encoding="latin-1")
    assert not is_written_here(path)
