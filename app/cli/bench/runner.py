"""Runs workloads against a server and gathers the figures."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from app.cli.bench.client import ChatClient, list_models
from app.cli.bench.counters import read_counters
from app.cli.bench.events import BadAnswerError
from app.cli.bench.http import NoAnswerError, Server
from app.cli.bench.prompts import Calibration, PromptWriter, calibration_text
from app.cli.bench.records import ChatRequest
from app.cli.bench.results import KEPT_MESSAGES, Parameters, Report
from app.cli.bench.stats import Figures, Row, summarise
from app.cli.bench.workloads import Pass, Sizes, Workload, build_workloads, user


class ServerUnusableError(Exception):
    """The server cannot be benchmarked; the text says why."""


class Meter(Protocol):
    """Shows how far a run is, counted in requests."""

    def begin(self, total: int) -> None:
        """The number of requests that will be sent is known."""
        ...

    def describe(self, text: str) -> None:
        """Another part of the run begins."""
        ...

    def advance(self) -> None:
        """One request has finished."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """The server under load; `timeout` is the limit of one request, in s."""

    url: str
    label: str
    model: str | None = None
    """None picks the first model that the server lists."""
    api_key: str | None = None
    timeout: float = 600.0


async def run_benchmark(
    target: Target,
    parameters: Parameters,
    meter: Meter,
    *,
    wanted: Callable[[Workload], bool] = lambda _: True,
    on_part: Callable[[Report], None] = lambda _: None,
) -> Report:
    """Warm the server up, run every wanted workload `repeat` times and report.

    `on_part` gets a report of each row as soon as it is measured.
    """
    sizes = Sizes(tuple(parameters.streams), parameters.scale, parameters.max_tokens)
    workloads = list(filter(wanted, build_workloads(parameters.workloads, sizes)))
    meter.begin(parameters.repeat * sum(workload.requests for workload in workloads))
    date = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
    server = Server(target.url, target.api_key, target.timeout)
    model = target.model or await _first_model(server)
    client = ChatClient(server, model, ignore_eos=parameters.ignore_eos)
    meter.describe("warming up")
    calibration = await warm_up(client)
    prompts = PromptWriter(calibration, parameters.seed)
    report = Report(date, target.label, target.url, model, parameters, calibration, rows=[])
    for workload in workloads:
        row = await _run_workload(workload, client, prompts, parameters.repeat, meter)
        report.rows.append(row)
        on_part(replace(report, rows=[row]))
    return report


async def _run_workload(
    workload: Workload, client: ChatClient, prompts: PromptWriter, repeat: int, meter: Meter
) -> Row:
    repeats: list[Figures] = []
    messages: list[str] = []
    for number in range(repeat):
        meter.describe(f"{workload.name}, {workload.streams} streams, pass {number + 1}/{repeat}")
        key = f"{workload.name}/{workload.streams}/{number}"
        before = await read_counters(client.server, client.model)
        seen = await workload.run(Pass(client, prompts, key, meter.advance))
        after = await read_counters(client.server, client.model)
        counted = after - before if before and after else None
        repeats.append(summarise(seen, workload.streams, counted))
        messages += [done.error for done in seen.completions if done.error is not None]
    return Row(workload.name, workload.streams, repeats, messages[:KEPT_MESSAGES])


async def _first_model(server: Server) -> str:
    try:
        models = await list_models(server)
    except (NoAnswerError, TimeoutError, BadAnswerError) as problem:
        raise ServerUnusableError(f"{server.url} does not list its models: {problem}") from problem
    if not models:
        raise ServerUnusableError(f"{server.url} lists no models; name one with --model")
    return models[0]


async def warm_up(client: ChatClient) -> Calibration:
    """Send a first request, then two that tell how the server counts tokens."""
    counts: list[int] = []
    for text, tokens in (("Hello", 16), (calibration_text(1), 1), (calibration_text(3), 1)):
        completion = await client.complete(ChatRequest(user(text), tokens))
        if completion.error is not None:
            raise ServerUnusableError(f"the warm-up request failed: {completion.error}")
        counts.append(completion.prompt_tokens)
    return Calibration.fit(short=counts[1], long=counts[2])
