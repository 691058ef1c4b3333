"""What may be set of an answer, and what is said of what may not."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.api.openai.schemas.chat import ChatBody
from app.cli.chat.parameters import (
    NAMES,
    parse_format,
    parse_parameter,
    parse_switch,
    parse_thinking,
)
from app.cli.refusal import BadConfiguration


def test_every_name_is_one_of_the_api() -> None:
    assert set(NAMES) <= set(ChatBody.model_fields)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("temperature", "0.2", ("temperature", 0.2)),
        ("top-k", "40", ("top_k", 40)),
        ("num_predict", "12", ("max_tokens", 12)),
        ("seed", "-1", ("seed", -1)),
        ("stop", r"\n\nö", ("stop", ["\n\nö"])),
    ],
)
def test_values(name: str, text: str, expected: tuple[str, Any]) -> None:
    assert parse_parameter(name, text) == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("temperature", "9", "not between 0 and 5"),
        ("temperature", "warm", "not a number"),
        ("top_k", "1.5", "not a whole number"),
        ("typical_p", "0", "not between"),
        ("temperatur", "1", "did you mean temperature"),
        ("xyz", "1", "there are: temperature"),
    ],
)
def test_what_is_refused(name: str, text: str, message: str) -> None:
    with pytest.raises(BadConfiguration, match=message):
        parse_parameter(name, text)


def test_switches_and_thinking() -> None:
    assert parse_switch("On")
    assert not parse_switch("no")
    assert parse_thinking("off") is False
    assert parse_thinking("HIGH") == "high"
    for parse in (parse_switch, parse_thinking):
        with pytest.raises(BadConfiguration, match="neither"):
            parse("perhaps")


def test_formats(tmp_path: Path) -> None:
    assert parse_format("json") == {"type": "json_object"}
    schema = {"type": "object"}
    path = tmp_path / "s.json"
    path.write_text(json.dumps(schema))
    expected = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    assert parse_format(str(path)) == parse_format(json.dumps(schema)) == expected
    for text, message in (("none.json", "cannot be read"), ("{", "is not JSON")):
        with pytest.raises(BadConfiguration, match=message):
            parse_format(text)
    path.write_text("[]")
    with pytest.raises(BadConfiguration, match="is an object"):
        parse_format(str(path))


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999"])
def test_only_numbers_that_are_finite(text: str) -> None:
    with pytest.raises(BadConfiguration, match="is not a number"):
        parse_parameter("temperature", text)


@pytest.mark.parametrize("text", ["~nobody-of-this-name/x", "a\0b"])
def test_a_format_from_a_path_that_is_none(text: str) -> None:
    with pytest.raises(BadConfiguration, match="cannot be read"):
        parse_format(text)
