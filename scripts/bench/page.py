"""The benchmark page: targets, figures, how each was measured."""

import os
import platform
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from app import __version__
from app.cli.bench.report import milliseconds
from app.cli.bench.stats import Row
from scripts.bench.servers import llama_flags
from scripts.bench.store import Store
from scripts.bench.targets import CORRAL, CORRAL_SPLIT, PEER, PEER_SPLIT, Line, target_lines

NOTES = """\
The peer is llama-server; the ratio is Corral's figure divided by the peer's of the same round, the
median of all rounds. Rates are tokens per second of a whole pass, prompts included; tok/s are
generated tokens unless the line says otherwise.

¹ A server whose slots have cells of their own, 2,048 each (1,024 with the small model): Corral with
`LLM_KV_UNIFIED=false`, llama-server without `-kvu`. Both were tried either way where many streams
have little in common; of Corral stands the one with the higher rate, of llama-server the harder.\\
² Corral itself: answers of the same lengths to prompts of the same form, without the schema.\\
³ Generation of 16 sequences of 64 prompt and 128 generated tokens without a server (`S_TG`).
Corral's figure counts the tokens that arrived over HTTP while exactly 16 answers were between
their first and their last text, divided by that time.

Unique prompt tokens: all prompts, as token ids, go into one prefix tree in the order they were
sent. Each node that a prompt adds is a unique token. Then the prompt with the generated tokens
after it, all but the last, which never goes through the model, is added without counting. Computed
tokens are what `corral_prompt_tokens_computed_total` grew by. This is a pass of its own, because
learning which tokens were generated takes log-probabilities.

Idle processor time is from `/proc`, over 20 seconds, once. Memory of a sequence is what the process
grew by from its first answers to the most it had while 16 streams ran, divided by 16; KV cells are
not in it, they are allocated at the start.
"""
WORKLOADS = """\
| workload | what is sent |
|---|---|
| decode | short prompts (64 tokens), answers of 128 tokens |
| small-decode | the same with a model of 4 layers, where a server's own cost shows; 32 slots, \
5 times as many requests |
| prefill | prompts of 1,000 tokens that share nothing, 4 at a time, answers of 8 tokens |
| shared-prefix | 16 requests, 8 at a time, that begin with the same 1,000 tokens |
| multi-turn | 4 chats of 5 turns, each turn with the whole history so far |
| crowded-chats | 24 chats of 4 turns, 8 at a time, taking turns: first messages of 200 tokens, \
later ones of 40, answers of 16; both servers have 8 sequences and 4,096 KV cells, too few for all \
histories |
| interference | 4 running streams while a prompt of 2,000 tokens arrives: the time to first token \
is the long prompt's, the gaps are those of the 4 streams while it is computed |
| json-schema | answers that must follow a JSON schema, checked, 1 or 4 at a time |
| sampling | as decode, with temperature 0.8, top-p 0.95, presence and frequency penalties of 0.5 |
| health | 16 streams as in decode while `/health` is asked 20 times a second |

Greedy sampling unless said otherwise; prompt lengths are as the server counts them; answers have
their full length (`ignore_eos`) except under a schema. Prompt tokens answered from a cache count as
prompt tokens. The load client runs on the same cores as the server; it takes about 15 microseconds
of processor time for each streamed token.
"""


def describe_machine(
    model: Path, note: str | None, small: Path | None, threads: int, llama_server: Path | None
) -> list[tuple[str, str]]:
    """Read the machine and the versions; call it before the run, for the load average."""
    corral = f"{__version__}, llama-cpp-python {version('llama-cpp-python')}"
    facts = [
        ("CPU", f"{_cpu_name()}, {os.cpu_count()} cores, {threads} threads for each server"),
        ("Load average before", f"{os.getloadavg()[0]:.2f}"),
        ("System", f"{platform.system()} {platform.machine()}"),
        ("Model", ", ".join(filter(None, (_name_and_size(model), note)))),
        ("Corral", f"{corral}, Python {platform.python_version()}"),
    ]
    if small is not None:
        facts.insert(4, ("Small model", _name_and_size(small)))
    if llama_server is not None:
        flags = " ".join(llama_flags(16))
        facts.append(("llama-server", f"{_server_version(llama_server)}, `{flags}`"))
    return facts


def render(store: Store, plot: str) -> str:
    """The page in Markdown."""
    first = next(iter(store.reports.values()))
    passes = max((len(row.repeats) for row in first.rows), default=0)
    lines = target_lines(store)
    origin = (
        f"Measured on {first.date[:10]} by `python -m scripts.bench`, which wrote this page. "
        f"Servers took turns at each workload; every figure is the median of {passes} "
        f"{'pass' if passes == 1 else 'passes'}{_scale_note(store)}."
    )
    parts = [
        "# Benchmarks",
        origin,
        "\n".join(["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in store.setup)]),
        "## Targets",
        _verdict_counts(lines),
        "\n".join(_target_table(lines)),
        NOTES.rstrip(),
        f"![Bars: throughput and latency of {CORRAL} and {PEER}]({plot})",
        "## Figures",
        "\n".join(_figure_table(store)),
        *_problems(store),
        "## Workloads",
        WORKLOADS.rstrip(),
    ]
    return "\n\n".join(parts) + "\n"


def _scale_note(store: Store) -> str:
    scale = store.parameters.scale
    return "" if scale == 1 else f", with {scale:g} times the usual number of requests"


def _verdict_counts(lines: list[Line]) -> str:
    aimed = [line for line in lines if line.target]
    met = sum(line.is_met is True for line in aimed)
    missed = sum(line.is_met is False for line in aimed)
    rest = len(aimed) - met - missed
    return f"{met} met, {missed} missed" + (f", {rest} not measured." if rest else ".")


def _target_table(lines: list[Line]) -> Iterator[str]:
    yield "| what | Corral | peer | ratio | target | |"
    yield "|---|--:|--:|--:|--:|---|"
    for line in lines:
        cells = (line.title, line.figure, line.peer, line.ratio, line.target, line.verdict)
        yield f"| {' | '.join(cells)} |"


def _figure_table(store: Store) -> Iterator[str]:
    yield (
        "| workload | streams | server | req/s | output tok/s | prompt tok/s "
        "| TTFT p50 / p99 | gap p50 / p99 | errors |"
    )
    yield "|---|--:|---|--:|--:|--:|--:|--:|--:|"
    rows: dict[tuple[str, int], list[tuple[str, Row]]] = {}
    for label in (CORRAL, CORRAL_SPLIT, PEER, PEER_SPLIT):
        for row in store.reports[label].rows if label in store.reports else ():
            rows.setdefault((row.workload, row.streams), []).append((label, row))
    for (workload, streams), found in rows.items():
        for label, row in found:
            figures = row.figures
            cells = [
                workload,
                str(streams),
                label,
                f"{figures.requests_per_s:.2f}",
                f"{figures.output_tokens_per_s:,.1f}",
                f"{figures.prompt_tokens_per_s:,.1f}",
                f"{milliseconds(figures.ttft_p50_ms)} / {milliseconds(figures.ttft_p99_ms)}",
                f"{milliseconds(figures.gap_p50_ms)} / {milliseconds(figures.gap_p99_ms)}",
                f"{figures.errors:g}",
            ]
            yield f"| {' | '.join(cells)} |"


def _problems(store: Store) -> Iterator[str]:
    if store.problems:
        yield "\n".join(["What went wrong:", "", *(f"- {text}" for text in store.problems)])


def _name_and_size(model: Path) -> str:
    return f"`{model.name}`, {model.stat().st_size / 1e6:,.1f} MB"


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")


def _server_version(binary: Path) -> str:
    answer = subprocess.run(
        [binary, "--version"], capture_output=True, text=True, check=True, timeout=30
    )
    lines = (answer.stdout + answer.stderr).splitlines()
    return next((line for line in lines if line.startswith("version:")), "unknown version")
