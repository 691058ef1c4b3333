"""What is refused before a model is asked, and what a chat survives."""

import subprocess
import sys
from typing import Any, cast

import pytest

from app.cli.chat import loop
from app.cli.chat.commands import Commands
from app.cli.chat.interrupt import Interrupts
from app.cli.chat.live import LiveDisplay, Look

MAIN = "from app.cli import main; main()"


def test_a_prompt_that_is_no_text() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "run", "corral-tiny", b"\xff\xfe"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"not text in UTF-8" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_standard_input_that_is_closed() -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" run corral-tiny <&-', sys.executable, MAIN],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"a chat needs a terminal" in done.stderr
    assert b"Traceback" not in done.stderr


async def test_a_mistake_of_ours_does_not_end_a_chat(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken:
        look = Look()

        def run(self, _line: str) -> str:
            raise ZeroDivisionError("two\nlines")

    carry_out: Any = vars(loop)["_carry_out"]
    display = cast("LiveDisplay", None)
    await carry_out("/stats", cast("Commands", Broken()), display, Interrupts())
    assert capsys.readouterr().err == "that went wrong: ZeroDivisionError: two lines\n"
