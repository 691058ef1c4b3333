"""`corral list` and `corral ps`."""

import json
from datetime import UTC, datetime
from typing import Any

import click

from app.cli.table import show_table, write_age, write_count, write_size, write_wait
from app.cli.target import (
    Where,
    json_option,
    need_remote,
    open_models,
    server_options,
    where_options,
)

Json = dict[str, Any]

_STATES = {"absent": "not here", "cold": "on disk", "hot": "loaded", "draining": "leaving"}
_FAR = 3650 * 86_400  # seconds; Ollama's clients get a date instead of "for ever"


@click.command("list")
@click.argument("word", metavar="[WORD]", required=False)
@json_option
@where_options
def list_models(*, word: str | None, as_json: bool, where: Where) -> None:
    """List the models of the server that runs here, or else those on this machine.

    With WORD only those whose name has it. JSON is that of /v1/models, one model a line.
    """
    with open_models(where) as models:
        rows = models.rows()
    if word is not None:
        rows = [row for row in rows if word.lower() in _names(row).lower()]
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
        return
    show_table(
        ("NAME", "SIZE", "PARAMETERS", "QUANT", "CONTEXT", "STATE", "MODIFIED"),
        [_write_row(row) for row in rows],
    )


@click.command()
@json_option
@server_options
def ps(*, as_json: bool, where: Where) -> None:
    """List the models in a server's memory.

    UNTIL is when a model leaves that nobody uses. JSON is that of /api/ps, one model a line.
    """
    with need_remote(where) as remote:
        rows = remote.running()
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
        return
    show_table(
        ("NAME", "MEMORY", "PROCESSOR", "CONTEXT", "UNTIL"), [_write_running(row) for row in rows]
    )


def _write_row(row: Json) -> tuple[str, ...]:
    meta: Json = row["meta"]
    state = _STATES.get(row["state"]) or str(row["state"])
    if row["error"] is not None and row["state"] != "absent":
        state = "broken"
    return (
        _names(row),
        write_size(meta["size"]) if meta["size"] else "",
        write_count(meta["n_params"]),
        meta["quantization"] or "",
        str(row["context_window"]),
        state,
        write_age(row["created"]),
    )


def _names(row: Json) -> str:
    return ", ".join((row["id"], *row["aliases"]))


def _write_running(row: Json) -> tuple[str, ...]:
    ends = datetime.fromisoformat(row["expires_at"])
    left = (ends - datetime.now(UTC)).total_seconds()
    on_gpu = row["size_vram"] / row["size"] if row["size"] else 0
    return (
        row["name"].removesuffix(":latest"),
        write_size(row["size"]),
        "GPU" if on_gpu == 1 else f"{on_gpu:.0%} GPU" if on_gpu else "CPU",
        str(row["context_length"]),
        "for ever" if left > _FAR else write_wait(left),
    )
