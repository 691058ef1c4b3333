import json

import numpy as np
import pytest

from app.core.errors import InvalidConstraint
from app.core.requests import JsonObject, JsonSchema
from app.engine.constraint import ConstraintCompiler, Frame
from app.llama.model import Model

SOURCE = "response_format.json_schema.schema"
SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 8},
        "size": {"enum": ["small", "large"]},
        "age": {"type": "integer", "minimum": 0, "maximum": 999},
    },
    "required": ["city", "size", "age"],
    "additionalProperties": False,
}


def generate(compiler: ConstraintCompiler, model: Model, schema: JsonSchema, seed: int) -> str:
    """Random logits under the constraint: only the grammar decides what is possible."""
    rng = np.random.default_rng(seed)
    constraint = compiler.compile(schema)
    text = b""
    for _ in range(400):
        row = rng.normal(size=model.vocabulary.size).astype(np.float32)
        constraint.mask(row)
        token = int(row.argmax())
        assert constraint.allows(token)
        constraint.accept(token)
        if token in model.vocabulary.end_tokens:
            break
        text += model.vocabulary.piece(token, special=True)
        if constraint.is_complete:
            break
    return text.decode()


@pytest.mark.parametrize("seed", range(5))
def test_whatever_the_logits_say_the_schema_holds(
    compiler: ConstraintCompiler, builtin_model: Model, seed: int
) -> None:
    value = json.loads(generate(compiler, builtin_model, JsonSchema(SCHEMA, SOURCE), seed))
    assert set(value) == {"city", "size", "age"}
    assert value["size"] in ("small", "large")
    assert 0 <= value["age"] <= 999
    assert len(value["city"]) <= 8


@pytest.mark.parametrize("space", [" ", "\n", "\t"])
def test_there_is_no_endless_whitespace(
    compiler: ConstraintCompiler, builtin_model: Model, space: str
) -> None:
    vocabulary = builtin_model.vocabulary
    constraint = compiler.compile(JsonSchema(SCHEMA, SOURCE))
    for token in vocabulary.tokenize('{"city":', add_special=False, parse_special=False):
        constraint.accept(token)
    (blank,) = vocabulary.tokenize(space, add_special=False, parse_special=False)
    accepted = 0
    while accepted < 50 and constraint.allows(blank):
        constraint.accept(blank)
        accepted += 1
    assert accepted < 50


def test_mask_and_single_check_agree(compiler: ConstraintCompiler, builtin_model: Model) -> None:
    constraint = compiler.compile(JsonObject(SOURCE))
    row = np.zeros(builtin_model.vocabulary.size, np.float32)
    constraint.mask(row)
    for token in range(len(row)):
        assert constraint.allows(token) == bool(np.isfinite(row[token]))


def test_constraints_of_one_schema_do_not_share_their_position(
    compiler: ConstraintCompiler, builtin_model: Model
) -> None:
    first, second = (
        compiler.compile(JsonSchema(SCHEMA, SOURCE)),
        compiler.compile(JsonSchema(SCHEMA, SOURCE)),
    )
    (brace,) = builtin_model.vocabulary.tokenize("{", add_special=False, parse_special=False)
    first.accept(brace)
    assert not first.allows(brace)
    assert second.allows(brace)


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({"type": "elephant"}, ".type"),
        ({"$ref": "#/nowhere"}, ".$ref"),
        ({"type": "string", "pattern": "("}, ".pattern"),
        ({"properties": {"a": {"items": {"not": {}}}}}, ".properties.a.items.not"),
        ({"anyOf": [True, {"type": "string", "format": "odd"}]}, ".anyOf[1].format"),
        ({"$defs": {"a": {"not": {}}}, "items": {"$ref": "#/$defs/a"}}, ".$defs.a.not"),
        ({"type": "object", "properties": {"a": False}, "required": ["a"]}, ".properties.a"),
        ({"x-guidance": {"whitespace_pattern": 5}}, ".x-guidance"),
    ],
)
def test_a_bad_schema_is_refused_with_its_path(
    compiler: ConstraintCompiler, schema: dict[str, object], where: str
) -> None:
    with pytest.raises(InvalidConstraint) as refused:
        compiler.compile(JsonSchema(schema, SOURCE))
    assert refused.value.param == SOURCE + where
    assert len(refused.value.message) > 40


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({"type": "integer", "multipleOf": 999_983}, ".multipleOf"),
        ({"type": "number", "multipleOf": 0.000_999_983}, ".multipleOf"),
        (
            {"allOf": [{"type": "integer", "multipleOf": n} for n in (9973, 9967)]},
            ".allOf[0].multipleOf",
        ),
    ],
)
def test_a_schema_that_would_compile_for_minutes_is_refused_at_once(
    compiler: ConstraintCompiler, schema: dict[str, object], where: str
) -> None:
    with pytest.raises(InvalidConstraint, match="multipleOf") as refused:
        compiler.compile(JsonSchema(schema, SOURCE))
    assert refused.value.param == SOURCE + where


@pytest.mark.parametrize("step", [0.01, 5, 250, 1_000_000, 9973])
def test_ordinary_multiples_are_taken(compiler: ConstraintCompiler, step: float) -> None:
    assert compiler.compile(JsonSchema({"type": "number", "multipleOf": step}, SOURCE))


def test_what_was_compiled_is_recalled(compiler: ConstraintCompiler, builtin_model: Model) -> None:
    """Each time from its start."""
    asked = JsonSchema({**SCHEMA, "title": "recalled"}, SOURCE)
    assert compiler.recall(asked, Frame()) is None
    made = compiler.compile(asked)
    (brace,) = builtin_model.vocabulary.tokenize("{", add_special=False, parse_special=False)
    for constraint in (made, compiler.recall(asked, Frame()), compiler.compile(asked)):
        assert constraint is not None
        assert constraint.allows(brace)
        constraint.accept(brace)
        assert not constraint.allows(brace)
