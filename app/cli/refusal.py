"""How a command ends that cannot do what it was asked: one clear line, no traceback."""

from typing import IO, Any

import click

from app.cli.text import echo
from app.core.errors import ConfigurationError, CorralError


class Refusal(click.ClickException):
    """Exit code 1: something could not be done."""

    def show(self, file: IO[Any] | None = None) -> None:
        for line in self.message.splitlines():
            echo(f"corral: {line}", file, err=file is None)


class BadConfiguration(Refusal):
    """The configuration is wrong."""

    exit_code = 2


def refuse(error: CorralError) -> Refusal:
    """The exception that ends the command with the error's message."""
    kind = BadConfiguration if isinstance(error, ConfigurationError) else Refusal
    return kind(error.message)
