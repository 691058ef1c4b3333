"""Where an answer goes: a terminal, a pipe, or a script."""

import json
import sys
from typing import Protocol, TextIO

import click

from app.cli.chat.turn import Piece
from app.cli.text import clean


class Display(Protocol):
    """Shows one answer after the other."""

    def begin(self, what: str) -> None:
        """An answer is asked for. `what` happens until it comes, in a word."""
        ...

    def show(self, piece: Piece) -> None: ...

    def tick(self) -> None:
        """Called some times a second: draw what came."""
        ...

    def end(self) -> None:
        """It is whole, or will not go on."""
        ...


class PlainDisplay:
    """The text alone: as it comes for pipes, and clean for a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._last = "\n"

    def begin(self, what: str) -> None:  # noqa: ARG002
        self._last = "\n"

    def show(self, piece: Piece) -> None:
        text = clean(piece.text) if self._stream.isatty() else piece.text
        if text:
            self._stream.write(text)
            self._stream.flush()
            self._last = text

    def tick(self) -> None: ...

    def end(self) -> None:
        if not self._last.endswith("\n"):
            self._stream.write("\n")
            self._stream.flush()


class JsonDisplay:
    """For scripts: an object for each piece, one a line, where `streams`; the whole answer is for
    others to tell."""

    def __init__(self, *, streams: bool) -> None:
        self._streams = streams

    def begin(self, what: str) -> None: ...

    def show(self, piece: Piece) -> None:
        if self._streams and (piece.text or piece.thought):
            told = {"content": piece.text, "thinking": piece.thought}
            click.echo(json.dumps({name: text for name, text in told.items() if text}))

    def tick(self) -> None: ...

    def end(self) -> None: ...
