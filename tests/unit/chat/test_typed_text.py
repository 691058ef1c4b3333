"""The JSON that a value's text becomes by its schema."""

import json
from typing import Any

import pytest

from app.chat.parsers.schema import Schema
from app.chat.parsers.toolbox import Toolbox
from app.chat.parsers.typed_text import TypedText, to_json
from app.core.messages import Tool

ROOT = {
    "$defs": {"size": {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "a/b": {"type": "null"}},
    "type": "object",
    "properties": {"loop": {"$ref": "#/properties/loop"}},
}


ALLOWED: list[tuple[dict[str, Any], set[str]]] = [
    ({}, set()),
    ({"type": "string"}, {"string"}),
    ({"type": ["integer", "null"]}, {"integer", "null"}),
    ({"type": []}, set()),
    ({"enum": ["a", 1, None]}, {"string", "integer", "null"}),
    ({"const": 1.5}, {"number"}),
    ({"properties": {}}, {"object"}),
    ({"items": {}}, {"array"}),
    ({"anyOf": [{"type": "string"}, {"enum": [True]}]}, {"string", "boolean"}),
    ({"oneOf": [{"type": "string"}, {}]}, set()),
    ({"anyOf": [{"type": "string"}, {"description": "all"}]}, set()),
    ({"type": "object", "anyOf": [{"required": ["a"]}]}, {"object"}),
    ({"allOf": [{"$ref": "#/$defs/size"}, {"description": "x"}]}, {"integer", "null"}),
    ({"$ref": "#/$defs/a~1b"}, {"null"}),
    ({"$ref": "#/properties/loop"}, set()),
    ({"$ref": "#/no/such"}, set()),
    ({"$ref": "other.json"}, set()),
    ({"$ref": 5, "anyOf": "x"}, set()),
]


@pytest.mark.parametrize(("schema", "types"), ALLOWED)
def test_types_that_a_schema_allows(schema: dict[str, Any], types: set[str]) -> None:
    assert Schema(schema, ROOT).types == types


def test_where_the_schemas_of_members_and_items_lie() -> None:
    item = {"properties": {"id": {"type": "integer"}}, "additionalProperties": {"type": "string"}}
    schema = Schema({"anyOf": [{"items": item}, {"type": "null"}]})
    assert schema.items.property("id").types == {"integer"}
    assert schema.items.property("other").types == {"string"}
    assert Schema({"additionalProperties": False}).property("x").types == set()


def test_a_schema_that_is_wide_and_refers_to_itself_is_read_at_once() -> None:
    names = [f"d{n}" for n in range(64)]
    defs = {
        name: {"anyOf": [{"$ref": f"#/$defs/{after}"}] * 2}
        for name, after in zip(names, [*names[1:], names[0]], strict=True)
    }
    assert Schema({"$ref": "#/$defs/d0"}, {"$defs": defs}).types == set()


def test_a_tool_without_parameters_allows_everything() -> None:
    toolbox = Toolbox([Tool("f")])
    assert toolbox.parameters_of("f").property("a").types == set()
    assert toolbox.parameters_of("g").property("a").types == set()


@pytest.mark.parametrize(
    ("text", "types", "value"),
    [
        ("1", "string", "1"),
        ("null", "string", "null"),
        (' "a"\n', "string", ' "a"\n'),
        ("1", "integer", 1),
        (" -2.50 ", "number", -2.5),
        ("+5", "integer", 5),
        ("abc", "integer", "abc"),
        ("NaN", "number", "NaN"),
        ("Infinity", "", "Infinity"),
        ("true", "boolean", True),
        ("False", "boolean", False),
        ("None", "null integer", None),
        ("null", "string null", None),
        ("nullable", "string null", "nullable"),
        ("None", "string null", None),
        ("Nonesuch", "string null", "Nonesuch"),
        (r"[{\"a\": \"C:\\\\x\"}]", "array", [{"a": "C:\\x"}]),
        ("nul", "string null", "nul"),
        ('{"a": [1]}', "object", {"a": [1]}),
        ("{'a': (1, None)}", "object", {"a": [1, None]}),
        ("{'a'", "object", "{'a'"),
        ("{1, 2}", "array", "{1, 2}"),
        ("b'x'", "array", "b'x'"),
        ("2 dollars", "string number", "2 dollars"),
        ("2", "string number", 2),
        ("2", "string integer", 2),
        ("2.5", "string integer", "2.5"),
        ("2.0", "string integer", 2),
        ('"quoted"', "string integer", '"quoted"'),
        ("{broken", "string object", "{broken"),
        ("[1]", "string object", "[1]"),
        ("text", "", "text"),
        ("[1]", "", [1]),
        ("", "", ""),
        ("", "object", ""),
        ("[" * 100_000, "array", "[" * 100_000),
        ("1" * 5000, "integer", "1" * 5000),
        ('say "hi"\\\n\t\x00é😀', "string", 'say "hi"\\\n\t\x00é😀'),
    ],
)
def test_text_as_json(text: str, types: str, value: Any) -> None:
    allowed = frozenset(types.split())
    assert json.loads(to_json(text, allowed, Schema())) == value
    for pieces in ([text], [text[:1], text[1:]], [*text[:50], text[50:]]):
        told: list[str] = []
        typed = TypedText(Schema(), told.append, allowed)
        for piece in pieces:
            typed.add(piece)
        typed.end()
        assert json.loads("".join(told)) == value


def test_a_string_is_told_as_it_comes() -> None:
    told: list[str] = []
    TypedText(Schema({"type": "string"}), told.append).add("a\nb")
    assert told == ['"', "a\\nb"]


def test_a_string_that_could_be_null_is_told_as_soon_as_it_is_not() -> None:
    told: list[str] = []
    typed = TypedText(Schema({"type": ["string", "null"]}), told.append)
    typed.add("nul")
    assert told == []
    typed.add("l and void")
    assert told == ['"null and void']
