"""`corral bench`: measure an OpenAI-compatible server."""

import sys
from importlib.util import find_spec
from pathlib import Path

import click

WORKLOAD_NAMES = (
    "health",
    "decode",
    "prefill",
    "shared-prefix",
    "multi-turn",
    "crowded-chats",
    "interference",
    "json-schema",
    "sampling",
)
OUTPUT = click.Path(dir_okay=False, writable=True, path_type=Path)


def _parse_streams(_: click.Context, __: click.Parameter, value: str) -> list[int]:
    try:
        streams = [int(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter("give whole numbers separated by commas") from None
    if min(streams) < 1:
        raise click.BadParameter("every number of streams must be at least 1")
    return sorted(set(streams))


def _check_folder(_: click.Context, __: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and not value.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {value.absolute().parent}")
    return value


def _check_plot(
    context: click.Context, parameter: click.Parameter, value: Path | None
) -> Path | None:
    if value is not None and value.suffix not in {".svg", ".png"}:
        raise click.BadParameter("the name must end in .svg or .png")
    return _check_folder(context, parameter, value)


def _check_url(_: click.Context, __: click.Parameter, value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise click.BadParameter("the address must begin with http:// or https://")
    return value


@click.command()
@click.option("--url", default="http://127.0.0.1:11434", show_default=True, callback=_check_url)
@click.option("--model", help="Model id; by default the first one the server lists.")
@click.option("--api-key", envvar="CORRAL_BENCH_API_KEY", help="Sent as a bearer token.")
@click.option(
    "--workload",
    "workloads",
    multiple=True,
    type=click.Choice(WORKLOAD_NAMES),
    help="Run only this one; may be repeated. By default all run.",
)
@click.option(
    "--streams",
    default="1,4,16",
    show_default=True,
    callback=_parse_streams,
    help="Numbers of parallel requests for the decode workload.",
)
@click.option("--repeat", default=3, show_default=True, type=click.IntRange(1))
@click.option(
    "--scale",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Multiplies the number of requests (turns, for multi-turn).",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(1),
    help="Answer length for decode, shared-prefix and multi-turn.",
)
@click.option("--seed", default=0, show_default=True, help="Same seed, same prompts.")
@click.option(
    "--ignore-eos/--no-ignore-eos",
    default=True,
    help="Ask for answers of full length (servers that do not know the field may refuse it).",
)
@click.option("--timeout", default=600.0, show_default=True, help="Limit of one request, s.")
@click.option("--label", default="Corral", show_default=True, help="Name in tables and plots.")
@click.option("--json", "json_path", type=OUTPUT, callback=_check_folder, help="Write figures.")
@click.option("--plot", "plot_path", type=OUTPUT, callback=_check_plot, help="Draw .svg or .png.")
@click.option(
    "--compare",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file of another run to set beside this one; may be repeated.",
)
def bench(
    *,
    url: str,
    model: str | None,
    api_key: str | None,
    workloads: tuple[str, ...],
    streams: list[int],
    repeat: int,
    scale: float,
    max_tokens: int | None,
    seed: int,
    ignore_eos: bool,
    timeout: float,
    label: str,
    json_path: Path | None,
    plot_path: Path | None,
    compare: tuple[Path, ...],
) -> None:
    """Measure throughput and latency of any OpenAI-compatible server.

    Exits with 1 when a request failed.
    """
    _require_packages("httptools", "rich", *(["matplotlib"] if plot_path else []))
    # Imported late because they need the packages checked above.
    from app.cli.bench.http import run_quickly  # noqa: PLC0415
    from app.cli.bench.results import Parameters  # noqa: PLC0415
    from app.cli.bench.runner import Target  # noqa: PLC0415
    from app.cli.bench.session import Outputs, run_session  # noqa: PLC0415

    parameters = Parameters(
        workloads=list(workloads or WORKLOAD_NAMES),
        streams=streams,
        repeat=repeat,
        scale=scale,
        max_tokens=max_tokens,
        seed=seed,
        ignore_eos=ignore_eos,
    )
    target = Target(url=url, label=label, model=model, api_key=api_key, timeout=timeout)
    outputs = Outputs(json=json_path, plot=plot_path, compare=compare)
    sys.exit(run_quickly(run_session(target, parameters, outputs)))


def _require_packages(*names: str) -> None:
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise click.ClickException(
            f"corral bench needs {', '.join(missing)}: pip install 'corral[bench]'"
        )
