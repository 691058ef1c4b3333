"""What stands in a terminal after an answer was drawn piece by piece is the answer, whole."""

import random

import pytest
from rich.console import Console

from app.cli.chat.live import LiveDisplay, Look
from app.cli.chat.markdown import AnswerMarkdown, render
from app.cli.chat.turn import Piece
from app.cli.text import clean
from tests.unit.cli.chat.screen import Screen

CODE = "\n".join(
    f"line_{number} = {number}" + ("\n" if number % 7 == 0 else "") for number in range(60)
)
ANSWERS = {
    "paragraphs": "First, **this**.\n\nThen `that`:\nand a new <b>line</b>.\n\n# Title\nEnd.",
    "long paragraph": "word " * 600,
    "list": "\n".join(f"{number}. item {number} " + "text " * 20 for number in range(1, 9)),
    "loose list": "\n\n".join(f"- item {number}\n  - inner\n  - more" for number in range(30)),
    "code": f"See:\n\n```python\n{CODE}\n```\n\nThat is all.",
    "tilde code": f"~~~\n{CODE}\n```\n~~~\nText right behind it.",
    "open code": f"```\n{CODE}",
    "table": "| a | b |\n|---|--:|\n"
    + "\n".join(f"| {n} | {n * n} |" for n in range(30))
    + "\n\nEnd.",
    "quote": "> said\n> so\n\n---\n\n<div>\nhtml\n</div>\n\nx < y",
    "setext": "Title\n=====\n\ntext\n\nOther\n---\nmore",
    "blank lines first": "\n\n\nHello.\n\n\n\nWorld.",
}


def draw(
    answer: str, width: int, height: int, look: Look, thought: str = "", seed: int = 1
) -> Screen:
    screen = Screen(width, height)
    console = Console(
        file=screen, force_terminal=True, width=width, height=height, color_system=None
    )
    display, pick = LiveDisplay(look, console), random.Random(seed)
    display.begin("waiting")
    for kind, text in (("thought", thought), ("text", answer)):
        at = 0
        while at < len(text):
            size = pick.randint(1, 25)
            display.show(Piece(**{kind: text[at : at + size]}))
            at += size
            if pick.random() < 0.7:
                display.tick()
    display.end()
    return screen


def plain(answer: str, width: int) -> list[str]:
    """All words of the whole answer, rendered at once."""
    console = Console(width=width, color_system=None)
    lines = render(AnswerMarkdown(clean(answer), "dark"), console)
    return ["".join(segment.text for segment in line).rstrip() for line in lines]


@pytest.mark.parametrize("name", list(ANSWERS))
@pytest.mark.parametrize(("width", "height"), [(80, 10), (40, 50), (100, 24)])
def test_the_whole_answer_stands_there(name: str, width: int, height: int) -> None:
    answer = ANSWERS[name]
    shown = draw(answer, width, height, Look()).text.splitlines()
    expected = plain(answer, width)
    assert [line for line in shown if line] == [line for line in expected if line]


@pytest.mark.parametrize("name", ["paragraphs", "list", "quote", "setext", "blank lines first"])
def test_and_its_empty_lines_where_it_fits(name: str) -> None:
    assert draw(ANSWERS[name], 80, 60, Look()).text.splitlines() == plain(ANSWERS[name], 80)


def test_however_it_is_cut() -> None:
    answer = "\n\n".join(ANSWERS.values()).replace("```\nline_0", "line_0")
    expected = [line for line in plain(answer, 60) if line]
    for seed in range(8):
        shown = draw(answer, 60, 12, Look(), seed=seed).text.splitlines()
        assert [line for line in shown if line] == expected


def test_plain_text_stays_as_it_is() -> None:
    text = "# not a title\n\n\n* a star\n" + "long " * 40
    shown = draw(text, 60, 8, Look(is_markdown=False)).text
    assert shown.startswith("# not a title\n\n\n* a star\nlong long")
    assert shown.split()[-40:] == ["long"] * 40


def test_thoughts_are_shown_or_folded() -> None:
    thought = "I wonder. " * 60
    shown = draw("Yes.", 60, 8, Look(), thought).text
    assert shown.split() == [*thought.split(), "Yes."]
    assert shown.endswith("\n\nYes.")
    folded = draw("Yes.", 60, 8, Look(shows_thoughts=False), thought).text
    assert "wonder" not in folded
    assert folded.startswith("thought for ")
    assert folded.endswith(" seconds\n\nYes.")


def test_an_answer_does_not_command_the_terminal() -> None:
    shown = draw("a\x1b[2Jb\x1b]0;title\x07c\x08\x9bd\te", 60, 8, Look()).text
    assert shown.startswith("a[2Jb]0;titlecd")


def test_nothing_is_left_of_the_wheel() -> None:
    assert draw("", 60, 8, Look()).text == ""
