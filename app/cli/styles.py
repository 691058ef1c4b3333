"""What Rich draws, in the colours of a theme."""

from functools import cache
from typing import Any

from pygments.token import (
    Comment,
    Generic,
    Keyword,
    Literal,
    Name,
    Number,
    Operator,
    String,
    Token,
)
from rich.style import Style
from rich.syntax import ANSISyntaxTheme
from rich.theme import Theme as Styles

from app.cli.theme import PALETTES, Theme


@cache
def make_styles(theme: Theme) -> Styles:
    """`good` and `bad`, and in place of Rich's own those that Corral draws with."""
    colors = PALETTES[theme]
    good, accent, name = _color(colors.good), _color(colors.accent), _color(colors.name)
    muted, plain = _color(colors.muted), Style()
    return Styles(
        {
            "good": good,
            "bad": _color(colors.bad),
            "bar.back": _color(colors.track),
            "bar.complete": accent,
            "bar.pulse": accent,
            "bar.finished": good,
            "progress.download": plain,
            "progress.data.speed": plain,
            "progress.remaining": plain,
            "progress.elapsed": plain,
            "markdown.code": name,
            "markdown.block_quote": muted,
            "markdown.list": plain,
            "markdown.item.number": Style(bold=True),
            "markdown.h2": Style(bold=True),
            "markdown.h3": Style(underline=True),
            "markdown.h4": Style(italic=True),
            "markdown.link": accent,
            "markdown.link_url": accent + Style(underline=True),
            "markdown.table.border": muted,
            "markdown.table.header": Style(bold=True),
        }
    )


@cache
def make_syntax(theme: Theme) -> ANSISyntaxTheme:
    """Of code, on the terminal's own background."""
    colors = PALETTES[theme]
    muted, accent, name = _color(colors.muted), _color(colors.accent), _color(colors.name)
    text, number = _color(colors.text), _color(colors.number)
    good, bad = _color(colors.good), _color(colors.bad)
    styles: dict[Any, Style] = {  # by type of token
        Token: Style(),
        Comment: muted,
        Comment.Preproc: number,
        Keyword: accent,
        Keyword.Type: name,
        Operator.Word: accent,
        Name.Builtin: name,
        Name.Function: name,
        Name.Class: name,
        Name.Exception: name,
        Name.Attribute: name,
        Name.Decorator: number,
        Name.Tag: accent,
        Literal.Date: number,
        String: text,
        Number: number,
        Generic.Inserted: good,
        Generic.Deleted: bad,
        Generic.Error: bad,
        Generic.Heading: Style(bold=True),
        Generic.Subheading: Style(bold=True),
        Generic.Prompt: Style(bold=True),
        Token.Error: bad,
    }
    return ANSISyntaxTheme(styles)


def _color(number: int) -> Style:
    return Style(color=f"color({number})")
