"""Benchmark Corral, and llama-server beside it, on one model; write the page in `docs/`.

    python -m scripts.bench --llama-server PATH [--model-file FILE.gguf] [--rounds 3]

All servers get the same model file and the same number of threads. Those that are compared are up
together and take turns at each workload, one under load at a time; ratios are of neighbours, so
that a machine whose speed changes by the minute is the same for all. Each round starts them afresh.
Run it on an idle machine: a busy core stalls every server, but not equally.
What was measured is saved after each part; `--resume` goes on from there.
"""

import os
import sys
import tempfile
from pathlib import Path

import click

from app.cli.bench.command import WORKLOAD_NAMES
from app.cli.bench.plot import draw
from app.cli.bench.report import print_report, ratio_table
from app.cli.bench.results import Parameters
from app.cli.bench.session import table_console
from scripts.bench.page import describe_machine, render
from scripts.bench.plan import BUILT_IN, SMALL, STREAMS, Fleet
from scripts.bench.sessions import run_batched_bench, run_round
from scripts.bench.store import Store
from scripts.bench.targets import BATCHED, CORRAL, PEER, target_lines

EXTRAS = (SMALL, "reuse", "batched-bench")
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def write_page(store: Store, folder: Path) -> None:
    """Draw the plot and write the page from what the store holds."""
    reports = [store.reports[label] for label in (CORRAL, PEER) if label in store.reports]
    if reports:
        draw(reports, folder / "benchmarks.svg")
        (folder / "benchmarks.md").write_text(render(store, "benchmarks.svg"), encoding="utf-8")


def show(store: Store) -> None:
    """Tables of figures and ratios, and the targets, on the standard output."""
    console = table_console()
    for report in store.reports.values():
        print_report(console, report)
    if CORRAL in store.reports and PEER in store.reports:
        console.print(ratio_table(store.reports[CORRAL], store.reports[PEER]))
    for line in target_lines(store):
        click.echo(
            f"{line.title:55} {line.figure:>14} {line.peer:>16} {line.ratio:>8} "
            f"{line.target:>14} {line.verdict}"
        )


@click.command()
@click.option("--llama-server", "binary", type=FILE, help="llama-server binary to compare with.")
@click.option("--batched-bench", type=FILE, help="llama-batched-bench binary, for its decode rate.")
@click.option("--model-file", default=BUILT_IN, show_default=True, type=FILE)
@click.option("--small-model-file", type=FILE, help="A tiny model, for what a server itself costs.")
@click.option("--note", help="What the page should say of the model, beside its file name.")
@click.option("--threads", default=os.cpu_count() or 1, show_default="all cores")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--scale", default=1.0, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--workload",
    "workloads",
    multiple=True,
    default=(*WORKLOAD_NAMES, *EXTRAS),
    show_default="all",
    type=click.Choice((*WORKLOAD_NAMES, *EXTRAS)),
)
@click.option("--out", default="docs", show_default=True, type=click.Path(path_type=Path))
@click.option("--resume", is_flag=True, help="Keep what OUT/benchmarks.json has; measure the rest.")
def main(
    *,
    binary: Path | None,
    batched_bench: Path | None,
    model_file: Path,
    small_model_file: Path | None,
    note: str | None,
    threads: int,
    rounds: int,
    scale: float,
    seed: int,
    workloads: tuple[str, ...],
    out: Path,
    resume: bool,
) -> None:
    """Benchmark Corral and llama-server; write OUT/benchmarks.md, .svg and .json."""
    parameters = Parameters(
        workloads=list(workloads),
        streams=list(STREAMS),
        repeat=1,
        scale=scale,
        max_tokens=None,
        seed=seed,
        ignore_eos=True,
    )
    out.mkdir(exist_ok=True)
    facts = describe_machine(model_file, note, small_model_file, threads, binary)
    store = Store(out / "benchmarks.json", facts, parameters)
    if resume and store.path.exists():
        store.resume()
    with tempfile.TemporaryDirectory() as folder:
        fleet = Fleet(model_file, small_model_file, binary, Path(folder), threads)
        groups = fleet.groups(workloads)
        for number in range(rounds):
            done = len(store.facts.get(BATCHED, {}).get("tok/s", []))
            if batched_bench and "batched-bench" in workloads and done <= number:
                run_batched_bench(batched_bench, model_file, threads, store)
            run_round(groups, store, number, has_reuse="reuse" in workloads)
            write_page(store, out)
    show(store)
    sys.exit(1 if store.problems else 0)


if __name__ == "__main__":
    main()
