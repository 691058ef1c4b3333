"""The token table that the grammar engine needs, read from a vocabulary."""

import ctypes
from typing import Any

import llguidance

from app.llama.bindings import lib
from app.llama.vocabulary import Vocabulary

_tokenize_address = ctypes.cast(lib.llama_cpp._lib.llama_tokenize, ctypes.c_void_p).value


def grammar_tokenizer(vocabulary: Vocabulary) -> Any:
    """llguidance's view of a vocabulary. Takes up to a second: build it once, at load.

    It calls llama.cpp's tokenizer, so it must not outlive the model.
    """
    tokenizer: Any = llguidance.LLTokenizer  # its stubs do not name this constructor
    return tokenizer.from_llamacpp(
        tokens=[_table_entry(vocabulary, token) for token in range(vocabulary.size)],
        vocab_ptr=vocabulary.handle,
        tokenize_fptr=_tokenize_address,
        eos_token=sorted(vocabulary.end_tokens),
    )


def _table_entry(vocabulary: Vocabulary, token: int) -> bytes:
    """A token's bytes; 0xff in front keeps markers such as `<tool_call>` out of free text."""
    piece = vocabulary.piece(token, special=True)
    is_marker = piece.startswith(b"<") and piece.endswith(b">")
    if vocabulary.is_control(token) or (is_marker and vocabulary.is_user_defined(token)):
        return b"\xff" + piece
    return piece
