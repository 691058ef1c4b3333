import json
from pathlib import Path

import pytest

from app.cli.bench.results import ResultsError, load, merge, save
from tests.unit.cli.bench.samples import SLOWER, report


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    original = report(messages=["oh"])
    save(original, path)
    assert load(path) == original


def test_the_file_has_medians_and_every_pass(tmp_path: Path) -> None:
    save(report(), tmp_path / "run.json")
    document = json.loads((tmp_path / "run.json").read_text())
    row = document["rows"][0]
    assert row["median"]["output_tokens_per_s"] == 256
    assert len(row["repeats"]) == 3
    assert document["parameters"]["seed"] == 0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "corral-bench/1"}'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(ResultsError, match=r"run\.json is not a result"):
        load(path)


def test_another_format_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text('{"format": "corral-bench/9"}')
    with pytest.raises(ResultsError, match="corral-bench/9"):
        load(path)


def test_merging_keeps_every_pass_and_few_messages() -> None:
    runs = [report(messages=["a", "b"]), report(figures=SLOWER, messages=["c", "d"])]
    merged = merge(runs)
    assert [len(row.repeats) for row in merged.rows] == [6, 6]
    assert merged.rows[0].messages == ["a", "b", "c"]
    assert merged.rows[0].figures.output_tokens_per_s == 192
    assert len(runs[0].rows[0].repeats) == 3
