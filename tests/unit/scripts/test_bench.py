import sys
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import click
import pytest

from app.cli.bench.results import Parameters, load
from scripts.bench import SOURCE, Server, run_rounds, running, write_outputs
from scripts.bench_page import Setup

SERVE = """
from aiohttp import web
from tests.unit.cli.bench.fake_server import FakeServer
web.run_app(FakeServer().app(), host="127.0.0.1", port={port}, print=None)
"""
FAKE = Server("One", [sys.executable, "-c", SERVE], "/v1/models", {"PYTHONPATH": str(SOURCE)})


def test_a_server_runs_only_inside_the_block() -> None:
    with running(FAKE) as url, urlopen(f"{url}/v1/models") as answer:
        assert answer.status == 200
    with pytest.raises(OSError, match="refused"):
        urlopen(f"{url}/v1/models")


def test_a_server_that_does_not_start_is_quoted() -> None:
    broken = replace(FAKE, arguments=[sys.executable, "-c", "raise SystemExit('no model')"])
    with pytest.raises(click.ClickException, match="One did not start:\nno model"), running(broken):
        pass


def test_rounds_are_merged_and_written(tmp_path: Path) -> None:
    parameters = Parameters(["decode"], [2], 1, 1.0, 3, 0, ignore_eos=True)
    reports = run_rounds([FAKE, replace(FAKE, label="Two")], "fake", parameters, rounds=2)
    assert [report.label for report in reports] == ["One", "Two"]
    assert [len(report.rows[0].repeats) for report in reports] == [2, 2]
    write_outputs(reports, Setup([]), tmp_path / "docs")
    assert load(tmp_path / "docs" / "benchmarks-one.json") == reports[0]
    assert "One against Two" in (tmp_path / "docs" / "benchmarks.md").read_text()
    assert (tmp_path / "docs" / "benchmarks.svg").exists()
