from dataclasses import replace

import pytest

from app.cli.bench.prompts import WORDS
from app.cli.bench.results import Parameters
from app.cli.bench.runner import ServerUnusableError, Target, run_benchmark
from tests.unit.cli.bench.fake_server import TEMPLATE_TOKENS, FakeServer

PARAMETERS = Parameters(["decode", "prefill"], [2], 2, 1.0, 4, 0, ignore_eos=True)


class CountingMeter:
    def __init__(self) -> None:
        self.total = 0
        self.done = 0
        self.texts: list[str] = []

    def begin(self, total: int) -> None:
        self.total = total

    def describe(self, text: str) -> None:
        self.texts.append(text)

    def advance(self) -> None:
        self.done += 1


async def test_a_whole_run(url: str, server: FakeServer) -> None:
    meter = CountingMeter()
    report = await run_benchmark(Target(url, "Fake"), PARAMETERS, meter)
    assert (report.label, report.model) == ("Fake", "fake")
    assert [(row.workload, row.streams) for row in report.rows] == [("decode", 2), ("prefill", 4)]
    assert all(len(row.repeats) == 2 for row in report.rows)
    assert report.failed_requests == 0
    assert meter.done == meter.total == 2 * (4 + 8)
    assert "prefill, 4 streams, pass 2/2" in meter.texts
    assert report.calibration.measured
    assert report.calibration.overhead_tokens == TEMPLATE_TOKENS
    assert len(server.bodies[1]["messages"][0]["content"].split()) == len(WORDS)


async def test_errors_are_counted_and_quoted(url: str, server: FakeServer) -> None:
    server.answer = "not JSON"
    parameters = replace(PARAMETERS, workloads=["json-schema"], repeat=1)
    report = await run_benchmark(Target(url, "Fake"), parameters, CountingMeter())
    assert report.failed_requests == 4 + 12
    assert len(report.rows[0].messages) == 3
    assert "not JSON" in report.rows[0].messages[0]


async def test_a_server_that_refuses_is_reported_before_any_workload(
    url: str, server: FakeServer
) -> None:
    server.fault = "refuse"
    with pytest.raises(ServerUnusableError, match="warm-up request failed: HTTP 429"):
        await run_benchmark(Target(url, "Fake"), PARAMETERS, CountingMeter())


async def test_a_server_without_models(url: str, server: FakeServer) -> None:
    server.models = []
    with pytest.raises(ServerUnusableError, match="lists no models"):
        await run_benchmark(Target(url, "Fake"), PARAMETERS, CountingMeter())


async def test_a_server_that_is_not_there(unused_tcp_port: int) -> None:
    target = Target(f"http://127.0.0.1:{unused_tcp_port}", "Fake")
    with pytest.raises(ServerUnusableError, match="does not list its models"):
        await run_benchmark(target, PARAMETERS, CountingMeter())
