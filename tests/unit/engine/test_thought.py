import pytest

from app.engine.messages import ThoughtLimit
from app.engine.thought import ThoughtWatch

CLOSING = (1, 2, 3)
PIECES = {1: b"\n", 2: b"</think>", 3: b"\n\n"}


def run(watch: ThoughtWatch, *pieces: bytes) -> bytes:
    """The text of an answer: a model's own pieces, but where others are due."""
    text, own = b"", list(pieces)
    while own or watch.due is not None:
        piece = PIECES[watch.due] if watch.due is not None else own.pop(0)
        watch.add(piece)
        text += piece
    return text


def limit(tokens: int, *, is_open: bool) -> ThoughtWatch:
    return ThoughtWatch(ThoughtLimit(tokens, "<think>", "</think>", CLOSING, is_open))


@pytest.mark.parametrize(
    ("tokens", "is_open", "pieces", "text"),
    [
        (2, True, [b"a", b"b", b"c"], b"ab\n</think>\n\nc"),
        (0, True, [b"a"], b"\n</think>\n\na"),
        (0, False, [b"<think>", b"a"], b"<think>\n</think>\n\na"),
        (1, False, [b"\n", b"<thi", b"nk>", b"a", b"b"], b"\n<think>a\n</think>\n\nb"),
        (1, False, [b"a", b"<think>", b"b", b"c"], b"a<think>bc"),
        (0, False, [b"a", b"b"], b"ab"),
        (5, True, [b"a", b"</th", b"ink>", *[b"b"] * 9], b"a</think>" + b"b" * 9),
        (3, True, [b"a", b"</th", b"ink>", b"b", b"c"], b"a</think>bc"),
        (1, True, ["ü".encode()[:1], "ü".encode()[1:], b"b"], "ü\n</think>\n\nb".encode()),
        (9, True, [b"a"], b"a"),
    ],
)
def test_thoughts(tokens: int, is_open: bool, pieces: list[bytes], text: bytes) -> None:
    assert run(limit(tokens, is_open=is_open), *pieces) == text


def test_a_second_thought_is_text() -> None:
    watch = limit(1, is_open=True)
    assert run(watch, b"a", b"<think>", b"b", b"c") == b"a\n</think>\n\n<think>bc"
