import pytest

from app.llama.model import Model

SAMPLES = ["Hello, world!", "naïve café", "🦙 in a pen", "tab\tand\nnewline", "日本語", ""]


@pytest.mark.parametrize("text", SAMPLES)
def test_text_survives_a_round_trip(builtin_model: Model, text: str) -> None:
    vocabulary = builtin_model.vocabulary
    tokens = vocabulary.tokenize(text, add_special=False, parse_special=False)
    assert b"".join(vocabulary.piece(t) for t in tokens) == text.encode()
    assert vocabulary.detokenize(tokens) == text


def test_control_tokens_are_read_only_when_asked(builtin_model: Model) -> None:
    vocabulary = builtin_model.vocabulary
    (end,) = vocabulary.tokenize("<|im_end|>", add_special=False, parse_special=True)
    assert end in vocabulary.end_tokens
    assert vocabulary.piece(end) == b""
    assert vocabulary.text(end) == "<|im_end|>"
    assert len(vocabulary.tokenize("<|im_end|>", add_special=False, parse_special=False)) > 1


def test_infill_tokens(builtin_model: Model, random_model: Model) -> None:
    assert builtin_model.vocabulary.infill_tokens is not None
    assert random_model.vocabulary.infill_tokens is None
