"""Reading one answer in every way it can arrive."""

from collections.abc import Callable
from dataclasses import dataclass, field

from app.chat.parsers.base import (
    CallArguments,
    CallEnd,
    CallStart,
    Part,
    Reasoning,
    StreamParser,
    Text,
)


@dataclass
class Read:
    """What came out, pieces joined. A call is a list of name and arguments, and of its id where
    the format carries one, early or late."""

    content: str = ""
    reasoning: str = ""
    calls: list[list[str]] = field(default_factory=list[list[str]])
    ended: list[bool] = field(default_factory=list[bool])
    malformed: int = 0

    def add(self, parts: list[Part]) -> None:
        for part in parts:
            match part:
                case Text():
                    assert part.text
                    self.content += part.text
                case Reasoning():
                    assert part.text
                    self.reasoning += part.text
                case CallStart():
                    self.calls.append([part.name, "", *([part.id] if part.id else [])])
                case CallArguments():
                    assert part.text
                    self.calls[-1][1] += part.text
                case CallEnd():
                    self.ended.append(part.is_whole)
                    self.calls[-1] += [part.id] if part.id else []


def read(make: Callable[[], StreamParser], *pieces: str) -> Read:
    """What a parser made by `make` finds in the text that arrives in `pieces`."""
    parser = make()
    result = Read()
    for piece in pieces:
        result.add(parser.feed(piece))
    result.add(parser.finish())
    result.malformed = parser.malformed
    return result


def read_every_way(make: Callable[[], StreamParser], text: str) -> Read:
    """Cut once at every place, and into single characters; all must agree."""
    whole = read(make, text)
    for at in range(len(text) + 1):
        assert read(make, text[:at], text[at:]) == whole, f"cut at {at}: {text[:at]!r}"
    assert read(make, *text) == whole
    return whole


def read_cut_off(make: Callable[[], StreamParser], text: str) -> None:
    """End the answer at every place: it is read, and what was told before stays as it was."""
    before = read(make)
    for at in range(1, len(text) + 1):
        told = _read_unfinished(make, text[:at])
        assert told.content.startswith(before.content)
        assert told.reasoning.startswith(before.reasoning)
        for (name, arguments, *rest), known in zip(told.calls, before.calls, strict=False):
            assert [name, arguments[: len(known[1])], *rest][: len(known)] == known
        assert len(told.calls) >= len(before.calls)
        before = told
        read(make, text[:at])


def _read_unfinished(make: Callable[[], StreamParser], text: str) -> Read:
    result = Read()
    result.add(make().feed(text))
    return result
