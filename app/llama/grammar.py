"""The token table that the grammar engine needs, read from a vocabulary."""

from typing import Any

import llguidance.llamacpp

from app.llama.vocabulary import Vocabulary


def grammar_tokenizer(vocabulary: Vocabulary) -> Any:
    """llguidance's view of a vocabulary. Takes up to a second: build it once, at load."""
    return llguidance.llamacpp.lltokenizer_from_vocab(
        vocabulary.handle, eos_token=sorted(vocabulary.end_tokens)
    )
