"""Groups whose commands are imported only when they are asked for."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended."""

Commands = Mapping[str, tuple[str, str, str]]
"""Name -> module, attribute, and what `--help` says."""


class LazyGroup(click.Group):
    """Knows its commands by name, so that `--help` and small commands start at once."""

    def __init__(self, *args: Any, lazy: Commands, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's own
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self._lazy:
            return None
        module, attribute, _ = self._lazy[cmd_name]
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in self._lazy.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Ctrl-C ends every command alike: with no traceback, and a code that says so."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo(err=True)
            ctx.exit(INTERRUPTED)
