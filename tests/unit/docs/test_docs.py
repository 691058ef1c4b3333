"""The docs say what the code does: every setting, flag, key, metric and route, by name."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel
from starlette.routing import Route

from app.chat.formats.registry import BY_NAME
from app.config.fields import default_text, unit_of
from app.config.manifest import Draft, Embedding, Entry, Lora, Manifest, Sampling, read_manifest
from app.config.settings import Settings, flag_of, variable_of
from app.main import create_app
from app.telemetry.metrics import Metrics
from tests.unit.telemetry.test_metrics import fill

DOCS = Path(__file__).parents[3] / "docs"


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_every_setting_is_described_as_it_is(name: str) -> None:
    field = Settings.model_fields[name]
    expected = [
        f"`{variable_of(name)}`",
        f"`{flag_of(name)}`",
        default_text(field),
        unit_of(field),
        field.description,
    ]
    rows = [cells(line) for line in read("configuration.md").splitlines() if line.startswith("|")]
    assert expected in rows, f"docs/configuration.md lacks the row {expected}"


def test_no_setting_is_described_that_does_not_exist() -> None:
    known = {variable_of(name) for name in Settings.model_fields}
    named = set(re.findall(r"`(LLM_[A-Z_]+)", read("configuration.md")))
    assert named <= known


@pytest.mark.parametrize("model", [Manifest, Entry, Draft, Lora, Embedding])
def test_every_key_of_the_manifest_is_described(model: type[BaseModel]) -> None:
    rows = [cells(line) for line in read("configuration.md").splitlines() if line.startswith("|")]
    for name, field in model.model_fields.items():
        assert [f"`{name}`", field.description] in rows, name


def test_every_format_is_described() -> None:
    table = re.findall(r"^\| `([^`]+)` \|", read("templates.md"), re.MULTILINE)
    flags = [name for name in table if not name.startswith("--")]
    assert sorted(flags) == sorted(BY_NAME)


def test_every_sampling_key_is_named() -> None:
    text = read("configuration.md")
    assert not [name for name in Sampling.model_fields if f"`{name}`" not in text]


def test_the_example_manifest_is_right(tmp_path: Path) -> None:
    match = re.search(r"```yaml\n(.*?)```", read("configuration.md"), re.DOTALL)
    assert match is not None
    path = tmp_path / "models.yaml"
    path.write_text(match[1])
    assert read_manifest(path).models


def families() -> Iterator[tuple[str, str]]:
    """Name and type of every family that is served."""
    metrics = Metrics()
    fill(metrics)
    for line in metrics.render()[0].decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            yield name, kind


def test_every_metric_is_described_with_its_type() -> None:
    rows = [cells(line) for line in read("metrics.md").splitlines() if line.startswith("| `")]
    described = {row[0].strip("`"): row[1] for row in rows}
    assert described == dict(families())


def test_every_route_is_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = create_app(Settings(threads=1, use_gpu="off"))
    text = "".join(path.read_text(encoding="utf-8") for path in DOCS.glob("*.md"))
    paths = {route.path for route in app.routes if isinstance(route, Route)}
    assert paths
    missing = [
        path
        for path in paths
        if f"`{re.sub(':path}', '}', path)}`" not in text
        and f"`GET {re.sub(':path}', '}', path)}`" not in text
        and f"`POST {re.sub(':path}', '}', path)}`" not in text
        and f"`DELETE {re.sub(':path}', '}', path)}`" not in text
    ]
    assert not missing
