import json
from collections.abc import Mapping

import pytest

from app.cli.bench.events import Answer, BadAnswerError, error_text


def chunk(delta: Mapping[str, object]) -> bytes:
    return json.dumps({"choices": [{"delta": delta}]}).encode()


def test_reasoning_takes_time_but_is_no_answer() -> None:
    answer = Answer()
    assert answer.add(1.0, chunk({"reasoning_content": "hm"}))
    assert answer.add(2.0, chunk({"content": "yes"}))
    assert answer.times == [1.0, 2.0]
    assert "".join(answer.texts) == "yes"


def test_events_without_text_have_no_time() -> None:
    answer = Answer()
    for delta in ({"role": "assistant", "content": None}, {"content": ""}, {}):
        assert not answer.add(1.0, chunk(delta))
    assert not answer.add(1.0, b'{"choices": null, "usage": null}')
    assert answer.times == []


@pytest.mark.parametrize("data", [b"{", b"[]", b"\xff"])
def test_events_that_are_not_objects(data: bytes) -> None:
    with pytest.raises(BadAnswerError, match="not"):
        Answer().add(0.0, data)


def test_error_texts_in_the_usual_places() -> None:
    assert error_text({"error": {"message": "a"}}) == "a"
    assert error_text({"error": "b"}) == "b"
    assert error_text({"message": "c"}) == "c"
    assert "d" in error_text({"detail": "d"})


def test_ends_have_reasons() -> None:
    answer = Answer()
    answer.add(1.0, b'{"choices": [{"delta": {}, "finish_reason": "length"}]}')
    answer.check_ended()
    assert answer.finish_reasons == ["length"]
