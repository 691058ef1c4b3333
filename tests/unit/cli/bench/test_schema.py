import json

import pytest

from app.cli.bench.schema import SCHEMA, mismatch

GOOD: dict[str, object] = {
    "name": "kite",
    "kind": "toy",
    "price": 12,
    "in_stock": True,
    "tags": ["red", "light"],
}


def test_an_answer_that_follows_the_schema() -> None:
    assert mismatch(json.dumps(GOOD)) is None
    assert mismatch(f"\n {json.dumps(GOOD, indent=2)}") is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "x" * 21),
        ("kind", "car"),
        ("price", 0),
        ("price", True),
        ("price", 1.5),
        ("in_stock", "yes"),
        ("tags", ["one"]),
        ("tags", ["x" * 11, "y"]),
        ("tags", "no"),
    ],
)
def test_each_rule_is_checked(name: str, value: object) -> None:
    problem = mismatch(json.dumps(GOOD | {name: value}))
    assert problem is not None
    assert name in problem


def test_other_answers() -> None:
    assert "not JSON" in (mismatch('{"name": "ki') or "")
    assert "not a JSON object" in (mismatch("[1]") or "")
    assert "forbids: colour" in (mismatch(json.dumps(GOOD | {"colour": "red"})) or "")


def test_the_schema_requires_what_the_check_requires() -> None:
    assert SCHEMA["required"] == list(GOOD)
