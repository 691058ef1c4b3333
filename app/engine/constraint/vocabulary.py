"""What grammars must know of a vocabulary."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.chat.lark import Spell

FindToken = Callable[[str], int | None]
"""The id of the special token with exactly this text, where a vocabulary has one."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """`special` tokens are not made of text; `ends` end an answer."""

    spell: Spell
    special: frozenset[int]
    ends: frozenset[int]

    def find(self, text: str) -> int | None:
        """The special token with exactly this text."""
        pieces = self.spell(text)
        return pieces[0] if len(pieces) == 1 and isinstance(pieces[0], int) else None

    def begins_with_token(self, text: str) -> bool:
        """Whether `text` begins with a special token."""
        return any(isinstance(piece, int) for piece in self.spell(text)[:1])


def read_vocabulary(tokenizer: Any) -> Vocabulary:
    """Of an llguidance tokenizer."""
    ids = [token for token in range(tokenizer.vocab_size) if tokenizer.is_special_token(token)]
    named: dict[str, int] = {tokenizer.decode_str([token]): token for token in ids}
    longest_first = sorted(filter(None, named), key=len, reverse=True)
    pattern = re.compile(f"({'|'.join(map(re.escape, longest_first)) or '(?!)'})")

    def spell(text: str) -> list[str | int]:
        return [named.get(piece, piece) for piece in pattern.split(text) if piece]

    return Vocabulary(spell, frozenset(ids), frozenset(tokenizer.eos_tokens))
