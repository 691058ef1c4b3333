"""Markdown as a terminal shows it best."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, cast

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement
from rich.padding import Padding
from rich.segment import Segment
from rich.style import Style
from rich.syntax import Syntax

from app.cli.styles import make_syntax
from app.cli.theme import Theme

Line = list[Segment]


class _Code(CodeBlock):
    """Highlighted on the terminal's own background, and indented, so that it can be copied."""

    def __rich_console__(
        self,
        console: Console,
        options: ConsoleOptions,
    ) -> RenderResult:
        code = Syntax(
            str(self.text).rstrip("\n"),
            self.lexer_name,
            theme=make_syntax(cast("Theme", self.theme)),
            word_wrap=True,
            background_color="default",
        )
        yield Padding(code, (0, 0, 0, 2))


class _Heading(Heading):
    LEVEL_ALIGN: ClassVar[Any] = {f"h{level}": "left" for level in range(1, 7)}


class AnswerMarkdown(Markdown):
    """What a model writes: line ends mean line ends, HTML is text, addresses are shown."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "fence": _Code,
        "code_block": _Code,
        "heading_open": _Heading,
    }

    def __init__(self, markup: str, theme: Theme) -> None:
        super().__init__(markup, code_theme=theme, hyperlinks=False)
        for token in _walk(self.parsed):
            if token.type == "softbreak":
                token.type = "hardbreak"
            elif token.type == "html_inline":
                token.type = "text"
            elif token.type == "html_block":
                token.type, token.info = "code_block", "html"


def render(markdown: AnswerMarkdown, console: Console) -> list[Line]:
    """Its lines on this console, without empty ones around and white space after them."""
    lines = [_strip(line) for line in console.render_lines(markdown, pad=False)]
    while lines and not lines[0]:
        del lines[0]
    while lines and not lines[-1]:
        del lines[-1]
    return lines


class Lines:
    """Rendered lines, to be printed as they are."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines

    def __rich_console__(
        self,
        console: Console,
        options: ConsoleOptions,
    ) -> RenderResult:
        for line in self._lines:
            yield from line
            yield Segment.line()


def _strip(line: Line) -> Line:
    kept = [*line]
    while kept and not kept[-1].text.strip() and not _has_background(kept[-1].style):
        kept.pop()
    if kept and not _has_background(kept[-1].style):
        kept[-1] = Segment(kept[-1].text.rstrip(), kept[-1].style)
    return kept


def _has_background(style: Style | None) -> bool:
    return style is not None and (style.bgcolor is not None or bool(style.underline))


def _walk(tokens: Iterable[Any]) -> Iterable[Any]:
    for token in tokens:
        yield token
        yield from _walk(token.children or ())
