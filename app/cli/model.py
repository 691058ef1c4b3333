"""`corral model`: RustLLM's verbs for what `pull`, `list`, `show` and `rm` do."""

import click

from app.cli.lazy import LazyGroup

_COMMANDS = {
    "pull": ("app.cli.pull", "pull", "The same as corral pull."),
    "list": ("app.cli.listing", "list_models", "The same as corral list."),
    "show": ("app.cli.show", "show", "The same as corral show."),
    "delete": ("app.cli.changes", "rm", "The same as corral rm."),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS)
def model() -> None:
    """The same as the commands pull, list, show and rm."""
