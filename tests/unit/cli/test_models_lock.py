"""`corral models lock`: what it fills in, and that everything else in the file stays."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.config.manifest import read_manifest
from scripts.make_gguf import write_projector, write_tiny_llama
from tests.support.hub import COMMIT, REPOSITORY, Hub, Stored, run_hub

TEXT = """\
# my models
builtin: false   # no toys

models:
  - id: far      # from the hub
    aliases: [f]
    source: hf://maker/model/m.gguf   # the small one
    # who needs more?
    draft: {source: hf://maker/model/m.gguf, sha256: null}

  - {id: flow, source: m.gguf, pin: true}
  -   source: hf://maker/model/s-00001-of-00002.gguf
      id: parts
"""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLM_MODELS_DIR", str(tmp_path / "models"))
    with run_hub() as running:
        data = write_tiny_llama(tmp_path / "m.gguf").read_bytes()
        for name in ("m.gguf", "s-00001-of-00002.gguf", "s-00002-of-00002.gguf"):
            running.files[name] = Stored(data)
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        yield running


def lock(*args: str) -> Result:
    return CliRunner().invoke(main, ["models", "lock", *args])


def test_fills_in_what_is_open_and_changes_nothing_else(hub: Hub, tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(TEXT)
    path.chmod(0o640)
    result = lock()
    assert result.exit_code == 0, result.output
    data = hub.files["m.gguf"].data
    size, digest = len(data), hashlib.sha256(data).hexdigest()
    assert (
        path.read_text()
        == f"""\
# my models
builtin: false   # no toys

models:
  - id: far      # from the hub
    aliases: [f]
    source: hf://maker/model/m.gguf   # the small one
    revision: "{COMMIT}"
    size: {size}
    sha256: "{digest}"
    # who needs more?
    draft: {{source: hf://maker/model/m.gguf, sha256: "{digest}"}}

  - {{id: flow, source: m.gguf, size: {size}, sha256: "{digest}", pin: true}}
  -   source: hf://maker/model/s-00001-of-00002.gguf
      revision: "{COMMIT}"
      size: {2 * size}
      id: parts
"""
    )
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir() if "new" in entry.name] == []
    assert "models[0]: revision" in result.stdout
    asked = len(hub.asked)
    assert lock().exit_code == 0
    assert len(hub.asked) - asked <= 2, "what is pinned is not asked for again, but for parts"
    assert read_manifest(path).models[0].revision == COMMIT


def test_what_goes_with_a_model_is_locked_pulled_and_checked_too(hub: Hub, tmp_path: Path) -> None:
    hub.files["mmproj.gguf"] = Stored(write_projector(tmp_path / "mmproj.gguf").read_bytes())
    path = tmp_path / "models.yaml"
    path.write_text(
        f"""models:
  - id: m
    source: hf://{REPOSITORY}/m.gguf
    projector:
      source: hf://{REPOSITORY}/mmproj.gguf
"""
    )
    assert lock().exit_code == 0
    projector = read_manifest(path).models[0].projector
    assert projector is not None
    assert projector.sha256 == hashlib.sha256(hub.files["mmproj.gguf"].data).hexdigest()
    missing = CliRunner().invoke(main, ["pull", "--check"])
    assert missing.stdout.count("not downloaded") == 2
    assert CliRunner().invoke(main, ["pull"]).exit_code == 0
    assert CliRunner().invoke(main, ["pull", "--check"]).stdout.count("right") == 2
    (tmp_path / "models/maker/model/mmproj.gguf").write_bytes(b"GGUF")
    assert CliRunner().invoke(main, ["pull", "--check"]).exit_code == 1


def test_check_writes_nothing(hub: Hub, tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(TEXT)
    result = lock("--check")
    assert result.exit_code == 1
    assert "is not locked" in result.stderr
    assert path.read_text() == TEXT
    lock()
    assert lock("--check").exit_code == 0


def test_upgrades_only_when_asked(hub: Hub, tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    text = f"""models:
  - id: m
    source: hf://{REPOSITORY}/m.gguf
    revision: "{COMMIT}"
    sha256: "{"0" * 64}"
    size: 5"""
    path.write_text(text)
    assert lock().exit_code == 0
    assert path.read_text() == text
    assert lock("--upgrade").exit_code == 0
    entry = read_manifest(path).models[0]
    assert entry.sha256 == hashlib.sha256(hub.files["m.gguf"].data).hexdigest()
    assert entry.size == len(hub.files["m.gguf"].data)


def test_a_file_of_the_web_is_pulled_first(hub: Hub, tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(f"models: [{{id: m, source: '{hub.url('m.gguf')}'}}]")
    result = lock()
    assert result.exit_code == 1
    assert "before you lock it" in result.stderr
    assert CliRunner().invoke(main, ["pull"]).exit_code == 0
    assert lock().exit_code == 0
    assert read_manifest(path).models[0].sha256 is not None


def test_a_form_that_cannot_be_edited_is_told(hub: Hub, tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    text = "models:\n  - id: a\n    source: >-\n      m.gguf\n    pin: true\n"
    path.write_text(text)
    result = lock()
    assert result.exit_code == 2
    assert "cannot be edited as it is written; add yourself: models.0: {" in result.stderr
    assert path.read_text() == text


def test_an_entry_that_is_merged_into_another(hub: Hub, tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text("models:\n  - &x {id: a, source: m.gguf}\n  - {<<: *x, id: b}\n")
    assert lock().exit_code == 0
    first, second = read_manifest(path).models
    assert first.sha256 == second.sha256 is not None
    assert path.read_text().count("sha256") == 1


def test_offline(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_OFFLINE", "1")
    (tmp_path / "models.yaml").write_text(TEXT)
    result = lock()
    assert result.exit_code == 1
    assert "LLM_OFFLINE is set" in result.stderr
    assert not hub.asked


def test_without_a_manifest(hub: Hub) -> None:
    assert lock().exit_code == 2
