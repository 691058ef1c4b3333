"""`corral manifest`."""

import json
from pathlib import Path

from click.testing import CliRunner

from app.cli import main
from scripts.make_gguf import write_tiny_llama

ROOT = Path(__file__).parents[3]


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["manifest", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_a_good_file(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path / "x.gguf")
    path = tmp_path / "models.yaml"
    path.write_text("builtin: false\nmodels:\n  - {id: a, source: x.gguf}\n")
    code, output, _ = run("check", str(path))
    assert code == 0
    assert output.startswith(f"a: {tmp_path / 'x.gguf'} (")


def test_a_bad_file(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text("models:\n  - {id: a, sourc: x.gguf}\n")
    code, _, errors = run("check", str(path))
    assert code == 2
    assert f"corral: {path}:2: models[0].sourc: unknown key; did you mean source?" in errors


def test_a_file_that_names_a_damaged_model(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    path = tmp_path / "models.yaml"
    path.write_text("models:\n  - {id: a, source: x.gguf}\n")
    code, _, errors = run("check", str(path))
    assert code == 2
    assert "not a GGUF file" in errors


def test_the_example_in_the_repository_is_good() -> None:
    code, _, errors = run("check", str(ROOT / "models.yaml"))
    assert code == 0, errors


def test_the_schema_in_the_docs_is_current() -> None:
    code, output, _ = run("schema")
    assert code == 0
    kept = json.loads((ROOT / "docs/models.schema.json").read_text())
    assert json.loads(output) == kept, "run: corral manifest schema > docs/models.schema.json"
