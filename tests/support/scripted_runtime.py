"""A `Runtime` that plays a model: it computes nothing and wants the next token of a script.

Tokens, template, engine, constraints and parsers are the real ones. What a constraint forbids, the
script does not get: the likeliest of the other tokens is taken then, and those are in such an order
that whatever must be written ends soon.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from app.core.memory import SavedRange
from app.engine.runtime import Float32Array
from app.llama.context import ContextOptions
from app.llama.model import Model
from tests.support.fake_runtime import FakeRuntime
from tests.support.script import reply

_OPEN = "<|im_start|>"
_ENDS, _QUOTE, _CLOSERS, _COMMA, _WORDS = 0.9, 0.8, 0.7, 0.6, 0.5
_WANTED = 2.0


class ScriptedRuntime(FakeRuntime):
    """Satisfies `app.pool.parts.MakeRuntime` for a model with the template of corral-tiny. It says
    the same under any adapters."""

    mark_unit = 2**24

    def __init__(self, model: Model, options: ContextOptions) -> None:
        super().__init__(
            kv_size=options.kv_size,
            max_sequences=options.max_sequences,
            batch_capacity=options.batch_tokens,
            max_outputs=min(options.max_sequences + options.extra_outputs, options.batch_tokens),
            vocabulary=model.vocabulary,
        )
        (self._open,) = model.vocabulary.tokenize(_OPEN, add_special=False, parse_special=True)
        pieces = [self.vocabulary.piece(token) for token in range(self.vocabulary.size)]
        self._tokens = {piece: token for token, piece in enumerate(pieces) if piece}
        self._longest = max(map(len, pieces))
        self._ends = sorted(self.vocabulary.end_tokens)
        self._unscripted = np.array([_worth(piece) for piece in pieces], np.float32)
        self._unscripted[self._ends] = _ENDS
        self._reply = lru_cache(maxsize=64)(self._write)

    def row_after(self, tokens: Sequence[int]) -> Float32Array:
        row = self._unscripted.copy()
        if self._open not in tokens:
            return row
        start = len(tokens) - 1 - tokens[::-1].index(self._open)
        _, _, said = self._spell(tokens[start:]).partition(b"\n")
        rest = what_is_left(self._reply(tuple(tokens[:start])), said)
        if rest == b"":
            row[self._ends] = _WANTED
        elif rest:
            self._want(row, rest.lstrip(), _WANTED)
            self._want(row, rest, _WANTED + 1)
        return row

    def _write(self, prompt: tuple[int, ...]) -> bytes:
        return reply(self._spell(prompt).decode()).encode()

    def _spell(self, tokens: Sequence[int]) -> bytes:
        return b"".join(self.vocabulary.piece(token, special=True) for token in tokens)

    def _want(self, row: Float32Array, text: bytes, worth: float) -> None:
        """Prefer the tokens that `text` begins with, the longest most."""
        for length in range(1, min(self._longest, len(text)) + 1):
            token = self._tokens.get(text[:length])
            if token is not None:
                row[token] = worth + length / (self._longest + 1)

    # a token of a real vocabulary needs more than a byte

    def save(self, sequence: int, start: int) -> memoryview:
        return memoryview(np.array(self.packed(sequence)[start:], np.int32).tobytes())

    def restore(self, sequence: int, ranges: Sequence[SavedRange], have: int = 0) -> bool:
        return super().restore(
            sequence, [replace(part, state=part.state.cast("i")) for part in ranges], have
        )


def what_is_left(script: bytes, said: bytes) -> bytes | None:
    """The rest of `script` after `said`; None when something else was said. White space may
    differ: a constraint may have put it elsewhere."""
    if script.startswith(said):
        return script[len(said) :]
    at = 0
    for word in said.split():
        for byte in word:
            at += len(script[at:]) - len(script[at:].lstrip())
            if script[at : at + 1] != bytes([byte]):
                return None
            at += 1
    left = script[at:]
    return left.lstrip() if said[-1:].isspace() else left


def _worth(piece: bytes) -> float:
    """How much a token that no script asks for is liked: what ends something, most."""
    if piece == b'"':
        return _QUOTE
    if piece in {b"}", b"]", b"<"} or piece.startswith(b"</"):
        return _CLOSERS
    if piece == b",":
        return _COMMA
    return _WORDS if piece.isalnum() else 0.0
