"""`corral show`: what is known of a model."""

import json
from typing import Any

import click

from app.cli.table import write_count, write_size
from app.cli.target import Where, json_option, model_argument, open_models, where_options
from app.cli.text import echo

Json = dict[str, Any]


@click.command()
@model_argument()
@click.option("--template", "only", flag_value="template", help="Print the chat template only.")
@click.option("--system", "only", flag_value="system", help="Print the system prompt only.")
@click.option("--parameters", "only", flag_value="parameters", help="Print the sampling only.")
@json_option
@where_options
def show(*, model: str, only: str | None, as_json: bool, where: Where) -> None:
    """Tell what is known of MODEL: sizes, abilities, sampling, license.

    JSON has what /v1/models and /api/show tell, in one object.
    """
    with open_models(where) as models:
        row, card = models.row(model), models.card(model)
    if as_json:
        click.echo(json.dumps({**card, **row}))
    elif only is not None:
        echo(card[only])
    else:
        _print(row, card)


def _print(row: Json, card: Json) -> None:
    meta: Json = row["meta"]
    facts = {
        "name": ", ".join((row["id"], *row["aliases"])),
        "state": row["state"],
        "error": row["error"],
        "size": write_size(meta["size"]) if meta["size"] else None,
        "architecture": meta["architecture"],
        "parameters": write_count(meta["n_params"]),
        "quantization": meta["quantization"],
        "context": _write_context(row["context_window"], meta["n_ctx_train"]),
        "longest answer": f"{row['max_output_tokens']} tokens",
        "vocabulary": f"{meta['n_vocab']} tokens" if meta["n_vocab"] else None,
        "embedding size": meta["n_embd"],
        "can": ", ".join(row["capabilities"]),
        "device": row["device"],
    }
    _section("Model", {name: fact for name, fact in facts.items() if fact})
    lines = (line.partition(" ") for line in card["parameters"].splitlines())
    _section("Sampling", {name: value.strip() for name, _, value in lines if name != "num_ctx"})
    for title, text in (("System prompt", card["system"]), ("License", card["license"])):
        if text:
            echo(f"{title}\n" + "\n".join(f"  {line}" for line in text.splitlines()[:12]))


def _write_context(window: int, trained: int) -> str:
    if trained and trained != window:
        return f"{window} tokens (made for {trained})"
    return f"{window} tokens"


def _section(title: str, facts: Json) -> None:
    if not facts:
        return
    width = max(map(len, facts))
    click.echo(title)
    for name, value in facts.items():
        echo(f"  {name.ljust(width)}  {value}")
