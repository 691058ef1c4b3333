"""What a parser of model output is, and what it says about the text it read.

`end` is the number of characters of the model's text that a part reaches up to, markers included:
it ties the parts to the tokens they came from.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    end: int


@dataclass(frozen=True, slots=True)
class Reasoning:
    text: str
    end: int


@dataclass(frozen=True, slots=True)
class CallStart:
    """`id` only where the format carries one."""

    name: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class CallArguments:
    """A piece of the arguments' JSON text, as generated."""

    text: str


@dataclass(frozen=True, slots=True)
class CallEnd:
    """`is_whole`: the call was closed and its arguments are JSON. `id`: what the model calls it, if
    that came too late for its start."""

    is_whole: bool = True
    id: str | None = None


Part = Text | Reasoning | CallStart | CallArguments | CallEnd


class StreamParser(Protocol):
    """Reads the text of one answer piece by piece.

    The parts of all pieces, joined, do not depend on where the text was cut. Nothing is an error:
    what is not a well-formed call is text.
    """

    @property
    def name(self) -> str: ...

    @property
    def is_reasoning(self) -> bool:
        """The text read last stands inside a thinking block."""
        ...

    @property
    def malformed(self) -> int:
        """Calls that were begun and could not be read."""
        ...

    def feed(self, text: str) -> list[Part]: ...

    def finish(self) -> list[Part]:
        """The model has ended: everything held back comes out."""
        ...


class PlainParser:
    """For answers without markers: all of it is text."""

    name = "plain"
    is_reasoning = False
    malformed = 0

    def __init__(self) -> None:
        self._end = 0

    def feed(self, text: str) -> list[Part]:
        if not text:
            return []
        self._end += len(text)
        return [Text(text, self._end)]

    def finish(self) -> list[Part]:
        return []
