"""The token table that the grammar engine needs, read from a vocabulary."""

import ctypes
from typing import Any

import llguidance

from app.llama.bindings import lib
from app.llama.vocabulary import Vocabulary

_tokenize_address = ctypes.cast(lib.llama_cpp._lib.llama_tokenize, ctypes.c_void_p).value
_SPECIAL = lib.LLAMA_TOKEN_ATTR_CONTROL | lib.LLAMA_TOKEN_ATTR_USER_DEFINED


def grammar_tokenizer(vocabulary: Vocabulary) -> Any:
    """llguidance's view of a vocabulary. Takes up to a second: build it once, at load.

    It calls llama.cpp's tokenizer, so it must not outlive the model.
    """
    tokenizer: Any = llguidance.LLTokenizer  # its stubs do not name this constructor
    return tokenizer.from_llamacpp(
        tokens=list(map(_table_entry, vocabulary.pieces(), vocabulary.attributes())),
        vocab_ptr=vocabulary.handle,
        tokenize_fptr=_tokenize_address,
        eos_token=sorted(vocabulary.end_tokens),
    )


def _table_entry(piece: bytes, attributes: int) -> bytes:
    """A token's bytes; 0xff in front keeps markers such as `<tool_call>` out of free text."""
    if not attributes & _SPECIAL:
        return piece
    is_marker = piece.startswith(b"<") and piece.endswith(b">")
    is_control = attributes & lib.LLAMA_TOKEN_ATTR_CONTROL
    return b"\xff" + piece if is_control or is_marker else piece
