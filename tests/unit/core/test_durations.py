"""Lengths of time as people and clients write them."""

import math

import pytest

from app.core.durations import parse_duration


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (0, 0),
        (2.5, 2.5),
        ("300", 300),
        ("5m", 300),
        ("1h30m", 5400),
        ("1.5s", 1.5),
        ("250ms", 0.25),
        (" 10s ", 10),
        (-1, math.inf),
        ("-1", math.inf),
        ("-5m", math.inf),
        (math.inf, math.inf),
    ],
)
def test_lengths(said: object, seconds: float) -> None:
    assert parse_duration(said) == seconds


@pytest.mark.parametrize("said", ["", "m", "5 m", "5x", "1h 30m", True, None, [], math.nan])
def test_what_is_none(said: object) -> None:
    with pytest.raises(ValueError, match="a duration such as 30s"):
        parse_duration(said)
