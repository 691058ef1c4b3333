from itertools import combinations

import pytest

from app.core.events import TokenCandidate, TokenLogprob
from app.engine.text import TextStream


def logprob(name: str) -> TokenLogprob:
    return TokenLogprob(TokenCandidate(1, name.encode(), -0.5))


def run(pieces: list[bytes], stop: tuple[str, ...] = ()) -> tuple[list[str], bool]:
    stream = TextStream(stop)
    texts: list[str] = []
    for piece in pieces:
        step = stream.push(piece)
        texts.append(step.text)
        if step.has_stopped:
            return texts, True
    texts.append(stream.finish().text)
    return texts, False


def test_half_a_character_is_never_released() -> None:
    emoji = "🦙".encode()
    texts, _ = run([b"a" + emoji[:1], emoji[1:3], emoji[3:] + b"b"])
    assert texts == ["a", "", "🦙b", ""]


def test_a_character_that_is_never_completed_is_dropped() -> None:
    texts, _ = run([b"ok", "é".encode()[:1]])
    assert "".join(texts) == "ok"


def test_invalid_bytes_become_replacement_characters() -> None:
    texts, _ = run([b"\xff", b"x"])
    assert "".join(texts) == "\ufffdx"


@pytest.mark.parametrize("stop", [("END",), ("END", "ND"), ("x", "END")])
def test_stop_string_is_found_for_every_chunking(stop: tuple[str, ...]) -> None:
    data = b"Ende EN END tail"
    expected = data.decode()[: min(data.decode().find(s) for s in stop if s in data.decode())]
    for cuts in combinations(range(1, len(data)), 2):
        pieces = [data[: cuts[0]], data[cuts[0] : cuts[1]], data[cuts[1] :]]
        texts, has_stopped = run(pieces, stop)
        assert "".join(texts) == expected
        assert has_stopped


def test_no_part_of_a_stop_string_is_released_early() -> None:
    texts, _ = run([b"a#", b"#", b"b"], ("###",))
    assert texts == ["a", "", "##b", ""]


def test_held_text_is_released_at_the_end() -> None:
    texts, has_stopped = run([b"a\n"], ("\n\n",))
    assert texts == ["a", "\n"]
    assert not has_stopped


def test_logprobs_wait_for_their_text() -> None:
    emoji = "🦙".encode()
    stream = TextStream(())
    assert stream.push(emoji[:2], logprob("1")).logprobs == ()
    step = stream.push(emoji[2:], logprob("2"))
    assert [item.token.bytes for item in step.logprobs] == [b"1", b"2"]


def test_logprobs_of_the_stop_string_are_not_released() -> None:
    stream = TextStream(("!!",))
    assert [x.token.bytes for x in stream.push(b"hi", logprob("hi")).logprobs] == [b"hi"]
    assert stream.push(b"!", logprob("!")).logprobs == ()
    assert stream.push(b"!", logprob("!")).logprobs == ()
    assert stream.finish().logprobs == ()
