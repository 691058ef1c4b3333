import json
from itertools import pairwise
from typing import Any

import pytest

from app.cli.bench.events import BadAnswerError
from scripts.soak import Memory, Tally, check_choices, clients_at
from tests.unit.cli.bench.test_schema import GOOD


def reply(*texts: str, reason: str = "stop", tokens: int = 5) -> dict[str, Any]:
    choices = [{"message": {"content": text}, "finish_reason": reason} for text in texts]
    return {"choices": choices, "usage": {"completion_tokens": tokens}}


def test_clients_swing_between_two_numbers() -> None:
    counts = [clients_at(seconds, 16, 64) for seconds in range(481)]
    assert (min(counts), max(counts)) == (16, 64)
    assert (counts[0], counts[60], counts[120], counts[240]) == (16, 40, 64, 16)
    assert max(abs(after - before) for before, after in pairwise(counts)) == 1


def test_good_answers_pass() -> None:
    check_choices({"max_tokens": 8}, reply("hello"))
    check_choices({"max_tokens": 8, "n": 2}, reply("a", "b", tokens=16, reason="length"))
    check_choices({"max_tokens": 8, "response_format": {}}, reply(json.dumps(GOOD)))


@pytest.mark.parametrize(
    ("more", "answer", "message"),
    [
        ({}, reply("a", "b"), "2 choices instead of 1"),
        ({"n": 2}, reply("a"), "1 choices instead of 2"),
        ({}, reply("a", reason="error"), "finish reasons"),
        ({}, reply("a", tokens=9), "9 tokens instead of 1 to 8"),
        ({}, reply("", tokens=0), "0 tokens"),
        ({"response_format": {}}, reply("{"), "not JSON"),
        ({"response_format": {}}, reply(json.dumps(GOOD | {"price": -1})), "breaks the schema"),
    ],
)
def test_bad_answers_are_told(more: dict[str, Any], answer: dict[str, Any], message: str) -> None:
    with pytest.raises(BadAnswerError, match=message):
        check_choices({"max_tokens": 8} | more, answer)


def test_memory_grows_in_percent_of_what_it_was_when_warm() -> None:
    sizes = ((0, 50, 0), (10, 100, 40), (20, 103, 43))
    memory = [Memory(seconds, size * 2**20, cached * 2**20) for seconds, size, cached in sizes]
    whole, rest = Tally(memory=memory).memory_lines(10)
    assert "50.0 MiB at the start, 100.0 MiB after 10 s, 103.0 MiB at the end (+3.00 %" in whole
    assert "50.0 MiB at the start, 60.0 MiB after 10 s, 60.0 MiB at the end (+0.00 %" in rest
    assert "not measured" in next(Tally().memory_lines(10))
