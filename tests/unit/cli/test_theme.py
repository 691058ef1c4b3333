"""The colours of the command line: which are chosen, and that they can be read."""

from dataclasses import asdict

import click
import pytest
from click.testing import CliRunner
from rich.color import Color
from rich.console import Console
from rich.style import Style

from app.cli import main
from app.cli.chat.markdown import AnswerMarkdown
from app.cli.styles import make_styles, make_syntax
from app.cli.theme import PALETTES, Theme, choose_theme

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
# xterm's, which are the darkest there are in wide use.
BRIGHT = {
    9: (255, 0, 0),
    10: (0, 255, 0),
    11: (255, 255, 0),
    12: (92, 92, 255),
    13: (255, 0, 255),
    14: (0, 255, 255),
}
ANSWER = """\
# Title

## Part

1. Call `f`, see [this](https://example.com).

> A quote.

```python
@final
class Sum(Base):
    # comment
    def run(self, n: int = 3) -> str:
        return f"{n!r}: 'text'" if n and not None else sum([n])
```

| a | b |
|---|---|
| 1 | 2 |
"""


@pytest.mark.parametrize(
    ("said", "told", "theme"),
    [
        ("", "", "light"),
        ("", "15;0", "dark"),
        ("", "15;default;0", "dark"),
        ("", "0;15", "light"),
        ("", "0;7", "light"),
        ("", "12;8", "dark"),
        ("", "nonsense", "light"),
        ("Dark ", "0;15", "dark"),
        ("light", "15;0", "light"),
        ("other", "15;0", "dark"),
    ],
)
def test_who_chooses(monkeypatch: pytest.MonkeyPatch, said: str, told: str, theme: Theme) -> None:
    monkeypatch.setenv("CORRAL_THEME", said)
    monkeypatch.setenv("COLORFGBG", told)
    assert choose_theme() == theme


def test_light_can_be_read_on_white_and_on_black() -> None:
    for role, number in asdict(PALETTES["light"]).items():
        assert number > 15, f"{role}: the terminal may have made it another"
        shown = Color.parse(f"color({number})").get_truecolor()
        for background in (WHITE, BLACK):
            assert contrast(shown, background) > 4, role


def test_dark_can_be_read_on_black() -> None:
    for role, number in asdict(PALETTES["dark"]).items():
        shown = BRIGHT.get(number) or Color.parse(f"color({number})").get_truecolor()
        assert contrast(shown, BLACK) > (2.5 if role == "track" else 4), role


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_answer_has_colours_of_the_theme_alone(theme: Theme) -> None:
    console = Console(theme=make_styles(theme), width=80, color_system="256", force_terminal=True)
    styles = [one.style for one in console.render(AnswerMarkdown(ANSWER, theme)) if one.style]
    used = colors_of(styles)
    assert used <= set(asdict(PALETTES[theme]).values())
    assert len(used) >= 5
    assert all(style.bgcolor is None or style.bgcolor.is_default for style in styles)
    syntax = make_syntax(theme).style_map.values()
    assert colors_of(list(syntax)) <= set(asdict(PALETTES[theme]).values())


def test_no_color_turns_all_commands_off(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def coloured() -> None:
        click.secho("text", fg=9)

    def find(_context: click.Context, _name: str) -> click.Command:
        return coloured

    monkeypatch.setattr(main, "get_command", find)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert CliRunner().invoke(main, ["coloured"], color=True).output == "\x1b[38;5;9mtext\x1b[0m\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert CliRunner().invoke(main, ["coloured"], color=True).output == "text\n"


def colors_of(styles: list[Style]) -> set[int]:
    found = {style.color for style in styles if style.color and not style.color.is_default}
    return {color.number if color.number is not None else -1 for color in found}


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """As WCAG 2 defines it, 1 to 21."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: tuple[int, ...]) -> float:
    parts = [part / 255 for part in color]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
