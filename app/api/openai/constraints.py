"""From the fields that constrain an answer to the neutral form."""

import re
from collections.abc import Iterator
from typing import Any

from app.api.openai.schemas.constraints import ConstraintFields, ResponseFormat, StructuredOutputs
from app.core.errors import BadRequest
from app.core.requests import Choice, Constraint, Grammar, JsonObject, JsonSchema, Regex

_GBNF_RULE = re.compile(r"^[ \t]*[A-Za-z0-9_-]+[ \t]*::=", re.MULTILINE)


def decode_constraint(wire: ConstraintFields, other: Constraint | None = None) -> Constraint | None:
    """`other`: what a field of one route alone asks for. Raises BadRequest where several fields
    ask for a format."""
    asked = [*([other] if other else ()), *_constraints(wire)]
    if len(asked) > 1:
        first, second = asked[0].source, asked[1].source
        raise BadRequest(
            f"'{first}' and '{second}' exclude each other: an answer follows one format.",
            param=second,
        )
    return asked[0] if asked else None


def _constraints(wire: ConstraintFields) -> Iterator[Constraint]:
    if wire.response_format is not None:
        yield from _of_format(wire.response_format)
    if wire.structured_outputs is not None:
        yield from _of_structured(wire.structured_outputs)
    yield from _of_values(
        "guided_", wire.guided_json, wire.guided_regex, wire.guided_choice, wire.guided_grammar
    )
    if wire.json_schema is not None:
        yield JsonSchema(wire.json_schema, "json_schema")
    if wire.grammar is not None:
        yield _grammar(wire.grammar, "grammar")


def _of_format(wanted: ResponseFormat) -> Iterator[Constraint]:
    if wanted.type == "text":
        return
    inner = wanted.json_schema
    if inner is not None and inner.schema_ is not None:
        source = "response_format.json_schema.schema"
        yield JsonSchema(inner.schema_, source, strict=bool(inner.strict))
    elif inner is None and wanted.schema_ is not None:
        yield JsonSchema(wanted.schema_, "response_format.schema")
    else:
        yield JsonObject("response_format")


def _of_structured(wanted: StructuredOutputs) -> Iterator[Constraint]:
    if wanted.json_object:
        yield JsonObject("structured_outputs.json_object")
    yield from _of_values(
        "structured_outputs.", wanted.json_, wanted.regex, wanted.choice, wanted.grammar
    )


def _of_values(
    prefix: str,
    schema: dict[str, Any] | None,
    pattern: str | None,
    options: list[str] | None,
    grammar: str | None,
) -> Iterator[Constraint]:
    if schema is not None:
        yield JsonSchema(schema, f"{prefix}json")
    if pattern is not None:
        yield Regex(pattern, f"{prefix}regex")
    if options is not None:
        yield Choice(tuple(options), f"{prefix}choice")
    if grammar is not None:
        yield _grammar(grammar, f"{prefix}grammar")


def _grammar(text: str, source: str) -> Grammar:
    """GBNF writes `name ::=`, which Lark, with its `name:`, never does at the start of a line."""
    return Grammar(text, "gbnf" if _GBNF_RULE.search(text) else "lark", source)
