"""Text of others on a terminal: of models, their files and servers."""

import re
import sys
from typing import IO, Any

import click

# What a terminal would obey instead of show: an answer is text, whatever is in it.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean(text: str) -> str:
    """Text without control characters; line ends and tabs stay."""
    return _CONTROL.sub("", text)


def echo(text: str, file: IO[Any] | None = None, *, err: bool = False) -> None:
    """Print a line: clean where it is a terminal, as it is into pipes and files."""
    stream = file or (sys.stderr if err else sys.stdout)
    click.echo(clean(text) if stream is not None and stream.isatty() else text, file=stream)
