"""Cuts Markdown that still grows into parts that will not change any more, and the rest.

What is done is printed once and for ever, so an answer may be longer than the screen; only the rest
is drawn again and again. Blocks are whole paragraphs, lists, tables and so on; the last one of a
text may still grow. Of a list its items but the last are done, of a code block its whole lines.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

_FENCE = re.compile(r"^( {0,3})(`{3,}|~{3,})([^`\n]*)$")
_LISTS = {"bullet_list_open", "ordered_list_open"}
_MANY_LINES = 8  # of code that is printed at once: each part is highlighted for itself


class Token(Protocol):
    """What is read of markdown-it's tokens. `map`: the first line, and the one after the last."""

    @property
    def type(self) -> str: ...
    @property
    def level(self) -> int: ...
    @property
    def nesting(self) -> int: ...
    @property
    def map(self) -> list[int] | None: ...


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of Markdown. `is_joined`: it goes on with what stands before it, with no empty line
    between them."""

    text: str
    is_joined: bool = False


def split(part: Part, tokens: Sequence[Token]) -> tuple[list[Part], Part]:
    """The parts of a text that are done, and the rest. `tokens` are those of its text."""
    lines = part.text.splitlines(keepends=True)
    starts = [token.map[0] for token in tokens if _begins_block(token, 0) and token.map]
    if not starts:
        return [], part
    bounds = [0, *starts[1:]]
    done = [
        Part("".join(lines[first:last]), part.is_joined and first == 0)
        for first, last in pairwise(bounds)
    ]
    is_joined = part.is_joined and len(bounds) == 1
    last = Part("".join(lines[bounds[-1] :]), is_joined)
    more, rest = _split_last(
        last, [t for t in tokens if t.map and t.map[0] >= bounds[-1]], bounds[-1]
    )
    return done + more, rest


def _split_last(part: Part, tokens: Sequence[Token], offset: int) -> tuple[list[Part], Part]:
    lines = part.text.splitlines(keepends=True)
    first = next((token for token in tokens if _begins_block(token, 0)), None)
    if first is not None and first.type == "fence":
        return _split_fence(part, lines)
    if first is not None and first.type in _LISTS:
        items = [
            token.map[0] - offset
            for token in tokens
            if token.type == "list_item_open" and token.level == 1 and token.map
        ]
        return _split_list(part, lines, items)
    return [], part


def _split_fence(part: Part, lines: list[str]) -> tuple[list[Part], Part]:
    """An open code block's whole lines; the rest begins with the same fence."""
    at = next((index for index, line in enumerate(lines) if _FENCE.match(line.rstrip("\n"))), None)
    if at is None:
        return [], part
    head, code = lines[at], lines[at + 1 :]
    match = _FENCE.match(head.rstrip("\n"))
    assert match is not None  # noqa: S101 - it matched above
    closing = match[2]
    whole = [line for line in code if line.endswith("\n")]
    is_closed = any(line.strip().startswith(closing) and not line.strip(" \n`~") for line in code)
    if is_closed or len(whole) <= _MANY_LINES:
        return [], part
    done = Part(f"{head}{''.join(whole)}{match[1]}{closing}\n", part.is_joined)
    return [done], Part(head + "".join(code[len(whole) :]), is_joined=True)


def _split_list(part: Part, lines: list[str], items: list[int]) -> tuple[list[Part], Part]:
    """All items but the last, as one list."""
    if len(items) < 2:
        return [], part
    cut = items[-1]
    is_tight = bool(lines[cut - 1].strip())
    return [Part("".join(lines[:cut]), part.is_joined)], Part("".join(lines[cut:]), is_tight)


def _begins_block(token: Token, level: int) -> bool:
    return token.level == level and token.nesting >= 0
