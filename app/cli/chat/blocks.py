"""Cuts Markdown that still grows into parts that will not change any more, and the rest.

What is done is printed once and for ever, so an answer may be longer than the screen; only the rest
is drawn again and again. Blocks are whole paragraphs, lists, tables and so on; the last one of a
text may still grow. Of a list its items but the last are done, of a code block that is taller than
the screen what stands above its last empty line: each part is highlighted for itself.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

_FENCE = re.compile(r"^( {0,3})(`{3,}|~{3,})([^`\n]*)$")
_LISTS = {"bullet_list_open", "ordered_list_open"}


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


def split(part: Part, tokens: Sequence[Token], height: int) -> tuple[list[Part], Part]:
    """The parts of a text that are done, and the rest. `tokens` are those of its text, `height` the
    lines of code that may wait for more of them."""
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
    block = [token for token in tokens if token.map and token.map[0] >= bounds[-1]]
    first = next(token for token in block if _begins_block(token, 0))
    if first.type == "fence":
        more, rest = _split_fence(last, height)
    elif first.type in _LISTS:
        more, rest = _split_list(last, [start - bounds[-1] for start in _find_items(block)])
    else:
        more, rest = [], last
    return done + more, rest


def _split_fence(part: Part, height: int) -> tuple[list[Part], Part]:
    """What is done of an open code block; the rest begins with the same fence."""
    lines = part.text.splitlines(keepends=True)
    at = next((index for index, line in enumerate(lines) if _FENCE.match(line.rstrip("\n"))), None)
    match = _FENCE.match(lines[at].rstrip("\n")) if at is not None else None
    if at is None or match is None:
        return [], part
    head, code, mark = lines[at], lines[at + 1 :], match[2]
    is_closed = any(line.strip().startswith(mark) and not line.strip(" \n`~") for line in code)
    if is_closed or len(code) <= height:
        return [], part
    empty = [index for index, line in enumerate(code) if not line.strip() and index]
    cut = empty[-1] if empty else len(code) - 1
    done = Part(f"{head}{''.join(code[:cut])}{match[1]}{mark}\n", part.is_joined)
    return [done], Part(head + "".join(code[cut:]), is_joined=True)


def _split_list(part: Part, items: Sequence[int]) -> tuple[list[Part], Part]:
    """All items but the last, as one list. `items`: the lines that they begin in."""
    if len(items) < 2:
        return [], part
    lines, cut = part.text.splitlines(keepends=True), items[-1]
    is_tight = bool(lines[cut - 1].strip())
    return [Part("".join(lines[:cut]), part.is_joined)], Part("".join(lines[cut:]), is_tight)


def _find_items(tokens: Sequence[Token]) -> list[int]:
    """The lines in which the items of a list begin, not those of lists within it."""
    return [
        token.map[0]
        for token in tokens
        if token.type == "list_item_open" and token.level == 1 and token.map
    ]


def _begins_block(token: Token, level: int) -> bool:
    return token.level == level and token.nesting >= 0
