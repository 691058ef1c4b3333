"""`corral rm`, `cp` and `stop`: through the server that runs, or in the models directory."""

import click

from app.cli.refusal import Refusal
from app.cli.target import (
    Where,
    model_argument,
    need_remote,
    open_models,
    refusing,
    server_options,
    where_options,
)


@click.command()
@model_argument("models", metavar="MODEL...", nargs=-1, required=True)
@where_options
def rm(*, models: tuple[str, ...], where: Where) -> None:
    """Delete models from disk.

    Through the server that runs here, so that what uses one goes on to its end.
    """
    failures: list[str] = []
    with open_models(where) as found:
        for model in models:
            try:
                with refusing():
                    found.delete(model)
            except Refusal as error:
                failures.append(error.message)
            else:
                click.echo(f"deleted {model}")
    if failures:
        raise Refusal("\n".join(failures))


@click.command()
@model_argument("source", metavar="MODEL")
@click.argument("name", metavar="NAME")
@where_options
def cp(*, source: str, name: str, where: Where) -> None:
    """Serve the files of MODEL as NAME too.

    They take no more room where both are in the models directory. What models.yaml says of MODEL
    does not hold for NAME.
    """
    with open_models(where) as found:
        found.copy(source, name)
    click.echo(f"copied {source} to {name}")


@click.command()
@model_argument()
@server_options
def stop(*, model: str, where: Where) -> None:
    """Have a server unload MODEL, once those who use it are done."""
    with need_remote(where) as remote:
        if remote.row(model)["state"] in {"absent", "cold", "failed"}:
            click.echo(f"{model} is not in memory")
            return
        remote.unload(model)
    click.echo(f"stopped {model}")
