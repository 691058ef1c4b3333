"""What others wrote is shown on a terminal, never obeyed by it; pipes get it as it is."""

import io
import sys
from collections.abc import Callable

import pytest

from app.cli.chat.display import PlainDisplay
from app.cli.chat.turn import Piece
from app.cli.refusal import Refusal
from app.cli.table import show_table
from app.cli.text import echo

HOSTILE = "a\x1b]0;owned\x07b\x9b2J\tc"
CLEAN = "a]0;ownedb2J\tc"


class Stream(io.StringIO):
    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


def show_answer() -> None:
    PlainDisplay().show(Piece(HOSTILE))


def show_row() -> None:
    show_table(["NAME"], [[HOSTILE]])


def show_refusal() -> None:
    Refusal(HOSTILE).show(sys.stdout)


@pytest.mark.parametrize("show", [show_answer, show_row, show_refusal, lambda: echo(HOSTILE)])
def test_a_terminal_is_not_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, show: Callable[[], None]
) -> None:
    stream = Stream(is_terminal=True)
    monkeypatch.setattr(sys, "stdout", stream)
    show()
    assert CLEAN in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("show", [show_answer])
def test_a_pipe_gets_every_byte(monkeypatch: pytest.MonkeyPatch, show: Callable[[], None]) -> None:
    stream = Stream(is_terminal=False)
    monkeypatch.setattr(sys, "stdout", stream)
    show()
    assert stream.getvalue() == HOSTILE
