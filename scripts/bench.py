"""Benchmark Corral, and llama-server beside it, on one model; write the page in `docs/`.

    python -m scripts.bench --llama-server PATH [--model-file FILE.gguf] [--rounds 3]

Both servers get the same model file and the same number of threads and run one at a time. Each
round starts both afresh, in an order that turns every round, so that a slow drift of the machine
hits both alike. Run it on an idle machine: a busy core stalls both servers, but not equally.
"""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.request import urlopen

import click

from app.cli.bench.command import WORKLOAD_NAMES
from app.cli.bench.plot import draw
from app.cli.bench.report import print_report, ratio_table
from app.cli.bench.results import Parameters, Report, merge, save
from app.cli.bench.runner import Target, run_benchmark
from app.cli.bench.session import ProgressMeter, table_console
from scripts.bench_page import Setup, render

BUILT_IN = Path("app/catalog/builtin/corral-tiny.gguf")
# Without `--reasoning off` it would ask models that can think to do so, in a longer prompt.
LLAMA_SERVER_FLAGS = ["-np", "16", "-c", "32768", "-kvu", "--reasoning", "off"]
START_LIMIT_S = 120
STOP_LIMIT_S = 30


SOURCE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Server:
    """How to start a server; `{port}` in arguments and environment is filled in.

    It runs in an empty folder, so that no configuration lying about changes it.
    """

    label: str
    arguments: list[str]
    ready_path: str
    environment: dict[str, str] = field(default_factory=dict[str, str])


def corral(models_folder: Path, threads: int) -> Server:
    """Corral from this source tree, with its default settings."""
    return Server(
        label="Corral",
        arguments=[sys.executable, "-c", "from app.cli import main; main()", "serve"],
        ready_path="/v1/models",
        environment={
            "LLM_HOST": "127.0.0.1",
            "LLM_SERVER_PORT": "{port}",
            "LLM_MODELS_DIR": str(models_folder),
            "LLM_THREADS": str(threads),
            "PYTHONPATH": str(SOURCE),
        },
    )


def llama_server(binary: Path, model: Path, threads: int) -> Server:
    """llama-server with slots and a shared KV cache as large as 16 streams need."""
    basics = ["-m", str(model.resolve()), "--alias", model.stem, "-t", str(threads)]
    address = ["--host", "127.0.0.1", "--port", "{port}"]
    return Server(
        label="llama-server",
        arguments=[str(binary.resolve()), *basics, *address, *LLAMA_SERVER_FLAGS],
        ready_path="/health",
    )


@contextmanager
def running(server: Server) -> Generator[str]:
    """Start the server on a free port, yield its address when it is ready, stop it after."""
    port = str(_free_port())
    url = f"http://127.0.0.1:{port}"
    arguments = [argument.replace("{port}", port) for argument in server.arguments]
    extra = {name: value.replace("{port}", port) for name, value in server.environment.items()}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            arguments, cwd=folder, env=os.environ | extra, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            if not _becomes_ready(process, url + server.ready_path):
                log.seek(0)
                tail = log.read().decode(errors="replace").splitlines()[-15:]
                raise click.ClickException("\n".join([f"{server.label} did not start:", *tail]))
            yield url
        finally:
            process.terminate()
            try:
                process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _becomes_ready(process: subprocess.Popen[bytes], address: str) -> bool:
    deadline = time.monotonic() + START_LIMIT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urlopen(address, timeout=5):
                return True
        except OSError:
            time.sleep(0.1)
    return False


def run_rounds(
    servers: list[Server], model: str, parameters: Parameters, rounds: int
) -> list[Report]:
    """Every server once per round; one merged report per server, in the given order."""
    found: dict[str, list[Report]] = {server.label: [] for server in servers}
    for number in range(rounds):
        again = replace(parameters, seed=parameters.seed + number)
        for server in servers if number % 2 == 0 else servers[::-1]:
            click.echo(f"round {number + 1} of {rounds}: {server.label}", err=True)
            with running(server) as url, ProgressMeter() as meter:
                target = Target(url=url, label=server.label, model=model)
                found[server.label].append(asyncio.run(run_benchmark(target, again, meter)))
    return [merge(reports) for reports in found.values()]


def write_outputs(reports: list[Report], setup: Setup, folder: Path) -> None:
    """Write the page, the plot and the figures of each server."""
    folder.mkdir(exist_ok=True)
    for report in reports:
        save(report, folder / f"benchmarks-{report.label.lower()}.json")
    draw(reports, folder / "benchmarks.svg")
    page = render(reports, setup, "benchmarks.svg")
    (folder / "benchmarks.md").write_text(page, encoding="utf-8")


@click.command()
@click.option(
    "--llama-server",
    "binary",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="llama-server binary to compare with.",
)
@click.option(
    "--model-file",
    default=BUILT_IN,
    show_default=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option("--note", help="What the page should say of the model, beside its file name.")
@click.option("--threads", default=os.cpu_count() or 1, show_default="all cores")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--scale", default=1.0, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--streams", multiple=True, default=(1, 4, 16), show_default=True, type=int)
@click.option(
    "--workload",
    "workloads",
    multiple=True,
    default=WORKLOAD_NAMES,
    show_default="all",
    type=click.Choice(WORKLOAD_NAMES),
)
@click.option("--out", default="docs", show_default=True, type=click.Path(path_type=Path))
def main(
    *,
    binary: Path | None,
    model_file: Path,
    note: str | None,
    threads: int,
    rounds: int,
    scale: float,
    seed: int,
    streams: tuple[int, ...],
    workloads: tuple[str, ...],
    out: Path,
) -> None:
    """Benchmark Corral and llama-server and write docs/benchmarks.md, .svg and .json."""
    setup = Setup.of_this_machine(model_file, note, threads, binary, LLAMA_SERVER_FLAGS)
    parameters = Parameters(
        workloads=list(workloads),
        streams=list(streams),
        repeat=1,
        scale=scale,
        max_tokens=None,
        seed=seed,
        ignore_eos=True,
    )
    with tempfile.TemporaryDirectory() as models:
        if model_file.resolve() != BUILT_IN.resolve():
            shutil.copy(model_file, models)
        servers = [corral(Path(models), threads)]
        if binary is not None:
            servers.append(llama_server(binary, model_file, threads))
        reports = run_rounds(servers, model_file.stem, parameters, rounds)
    write_outputs(reports, setup, out)
    console = table_console()
    for report in reports:
        print_report(console, report)
    for other in reports[1:]:
        console.print(ratio_table(reports[0], other))
    sys.exit(1 if any(report.failed_requests for report in reports) else 0)


if __name__ == "__main__":
    main()
