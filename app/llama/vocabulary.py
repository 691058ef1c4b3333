"""A model's vocabulary: text to tokens and back. Safe from any thread: llama.cpp only reads it."""

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from app.llama.bindings import int32_pointer, lib

_PIECE_BYTES = 256  # enough for nearly every token


class Vocabulary:
    def __init__(self, handle: Any) -> None:
        """`handle` is a `llama_vocab` pointer, valid as long as its model."""
        self.handle = handle
        self.size: int = lib.llama_vocab_n_tokens(handle)
        self.bos_token = _token_or_none(lib.llama_vocab_bos(handle))
        self.eos_token = _token_or_none(lib.llama_vocab_eos(handle))
        self.separators = _separators(handle)
        infill = [
            lib.llama_vocab_fim_pre(handle),
            lib.llama_vocab_fim_suf(handle),
            lib.llama_vocab_fim_mid(handle),
        ]
        self.infill_tokens: tuple[int, int, int] | None = (
            (infill[0], infill[1], infill[2]) if all(token >= 0 for token in infill) else None
        )
        self._end_tokens: frozenset[int] | None = None
        self._plain: list[bytes | None] = [None] * self.size
        self._special: dict[int, bytes] = {}

    @property
    def end_tokens(self) -> frozenset[int]:
        """Those that end an answer: looked for when first asked for."""
        if self._end_tokens is None:
            is_end, handle = lib.llama_vocab_is_eog, self.handle
            self._end_tokens = frozenset(t for t in range(self.size) if is_end(handle, t))
        return self._end_tokens

    def is_same_as(self, other: "Vocabulary") -> bool:
        """Whether every token id means the same text in both."""
        return self.size == other.size and all(
            self.text(token) == other.text(token) for token in range(self.size)
        )

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids of `text`. `add_special` adds BOS/EOS as the model wants them;
        `parse_special` reads control tokens written in the text as tokens."""
        data = text.encode("utf-8")
        out = np.empty(len(data) + 16, np.int32)
        while True:
            count = lib.llama_tokenize(
                self.handle,
                data,
                len(data),
                int32_pointer(out),
                len(out),
                add_special,
                parse_special,
            )
            if count >= 0:
                return out[:count].tolist()
            # more tokens than bytes: only odd normalisers do that, and say how many
            out = np.empty(-count, np.int32)

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The exact bytes of a token; control tokens are empty unless `special`."""
        if special:
            known = self._special.get(token)
            if known is None:
                known = self._special[token] = self._read_piece(token, special=True)
            return known
        piece = self._plain[token]
        if piece is None:
            piece = self._plain[token] = self._read_piece(token, special=False)
        return piece

    def pieces(self) -> list[bytes]:
        """Those of all tokens, control tokens spelled out, in half of the time."""
        buffer = ctypes.create_string_buffer(_PIECE_BYTES)
        view, read, handle = memoryview(buffer), lib.llama_token_to_piece, self.handle
        found: list[bytes] = []
        for token in range(self.size):
            count = read(handle, token, buffer, _PIECE_BYTES, 0, True)
            is_whole = count >= 0
            found.append(bytes(view[:count]) if is_whole else self.piece(token, special=True))
        return found

    def _read_piece(self, token: int, *, special: bool) -> bytes:
        size = _PIECE_BYTES
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = lib.llama_token_to_piece(self.handle, token, buffer, size, 0, special)
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def detokenize(self, tokens: Sequence[int]) -> str:
        """Text of `tokens`, control tokens included; invalid UTF-8 becomes U+FFFD."""
        return b"".join(self.piece(token, special=True) for token in tokens).decode(
            "utf-8", "replace"
        )

    def text(self, token: int) -> str:
        """The vocabulary's own spelling of a token, such as `<|im_start|>`."""
        return self.piece(token, special=True).decode("utf-8", "replace")

    def attributes(self) -> list[int]:
        """Of all tokens: llama.cpp's LLAMA_TOKEN_ATTR_* flags."""
        return [lib.llama_vocab_get_attr(self.handle, token) for token in range(self.size)]


def _separators(handle: Any) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """What stands before, between and after the two texts of a pair, of what the file declares:
    `<s> query </s></s> document </s>`, or `[CLS] query [SEP] document [SEP]`."""
    sep, eos = lib.llama_vocab_sep(handle), lib.llama_vocab_eos(handle)
    before = (lib.llama_vocab_bos(handle),) if lib.llama_vocab_get_add_bos(handle) else ()
    end = (eos if eos >= 0 else sep,) if lib.llama_vocab_get_add_eos(handle) else ()
    apart = (sep,) if lib.llama_vocab_get_add_sep(handle) else ()
    return before, (*end, *apart), end or apart


def _token_or_none(token: int) -> int | None:
    return None if token < 0 else token
