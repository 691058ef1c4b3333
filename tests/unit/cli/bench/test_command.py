import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli.bench.command import bench
from app.cli.bench.results import load, save
from tests.unit.cli.bench.fake_server import FakeServer
from tests.unit.cli.bench.samples import report


async def invoke(*arguments: str) -> Result:
    """Run the command in a thread, because it has an event loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, bench, arguments)


async def test_a_run_with_all_outputs(url: str, tmp_path: Path) -> None:
    save(report("Other"), tmp_path / "other.json")
    result = await invoke(
        *("--url", url, "--workload", "decode", "--streams", "1,4", "--repeat", "1"),
        *("--max-tokens", "3", "--label", "Mine", "--compare", str(tmp_path / "other.json")),
        *("--json", str(tmp_path / "mine.json"), "--plot", str(tmp_path / "mine.svg")),
    )
    assert result.exit_code == 0, result.output
    assert "Mine - fake" in result.output
    assert "Mine / Other" in result.output
    saved = load(tmp_path / "mine.json")
    assert [(row.workload, row.streams) for row in saved.rows] == [("decode", 1), ("decode", 4)]
    assert (tmp_path / "mine.svg").exists()


async def test_failed_requests_make_it_fail(url: str, server: FakeServer) -> None:
    server.answer = "not JSON"
    result = await invoke("--url", url, "--workload", "json-schema", "--repeat", "1")
    assert result.exit_code == 1
    assert "the answer is not JSON" in result.output


async def test_an_unusable_server_is_one_line(url: str, server: FakeServer) -> None:
    server.fault = "refuse"
    result = await invoke("--url", url)
    assert result.exit_code == 1
    assert result.output == "Error: the warm-up request failed: HTTP 429: the queue is full\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--streams", "1,x"], "whole numbers"),
        (["--streams", "0"], "at least 1"),
        (["--repeat", "0"], "0 is not in the range"),
        (["--scale", "0"], "0.0 is not in the range"),
        (["--workload", "nap"], "'nap' is not one of"),
        (["--url", "localhost:1"], "begin with http"),
        (["--plot", "a.jpeg"], ".svg or .png"),
        (["--json", "/no/such/folder/a.json"], "no folder /no/such/folder"),
        (["--compare", "missing.json"], "does not exist"),
    ],
)
async def test_bad_options(arguments: list[str], message: str) -> None:
    result = await invoke(*arguments)
    assert result.exit_code == 2
    assert message in result.output


async def test_a_file_that_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    result = await invoke("--compare", str(tmp_path / "other.json"))
    assert result.exit_code == 1
    assert "is not a result of this benchmark" in result.output


async def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        return None

    monkeypatch.setattr("app.cli.bench.command.find_spec", nothing)
    result = await invoke()
    assert result.exit_code == 1
    assert "needs httptools, rich" in result.output
    assert "corral[bench]" in result.output
