"""Fenced blocks of a Markdown page, and why one is not run where a line above says so."""

import re
from dataclasses import dataclass

_FENCE = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]*?) -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    line: int
    language: str
    code: str
    reason: str | None

    @property
    def name(self) -> str:
        return f"line {self.line} ({self.language})"


def read_blocks(text: str) -> list[Block]:
    """All blocks of a page; fails where a fence is not understood."""
    blocks = [
        Block(text[: m.start("code")].count("\n") + 1, m["language"], m["code"], m["reason"])
        for m in _FENCE.finditer(text)
    ]
    assert 2 * len(blocks) == len(re.findall(r"^```", text, re.MULTILINE))
    return blocks
