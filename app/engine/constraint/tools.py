"""The schemas of tools, made ready for a grammar."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from app.chat.lark_regex import Unsupported, lark_to_regex
from app.chat.parsers.string_grammar import whole
from app.core.errors import InvalidConstraint, InvalidGrammar
from app.core.messages import TextGrammar, Tool
from app.engine.constraint.schema import check_multiples, check_strict, spell

_log = logging.getLogger(__name__)

FindProblem = Callable[[Tool], str | None]
"""Why the schema of a tool cannot be used, if so. Raises InvalidConstraint for strict ones."""

OPTIONS = "x-guidance"  # of llguidance, for a schema
ANY_OBJECT: Mapping[str, Any] = {"type": "object"}
_NOTHING: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
# what may name further members of an object than `properties` does
_MORE_MEMBERS = frozenset(
    {"additionalProperties", "patternProperties", "propertyNames", "$ref", "if"}
    | {"allOf", "anyOf", "oneOf"}
)
_CLOSED = {"additionalProperties": False}
_SEARCH_SECONDS = 3.0


def prepare(tool: Tool) -> Tool:
    """The tool with a schema to be compiled: of an object, and of no other members than it names.

    Where the schema is beyond what can be compiled, it becomes that of any object, as OpenAI does
    not refuse it either; with `strict` it is refused. The grammar of a text becomes a `pattern`.
    Raises InvalidConstraint, or InvalidGrammar.
    """
    given = tool.parameters
    schema = _NOTHING if given is None else _as_object(given, tool.source)
    if tool.grammar is not None:
        return replace(tool, parameters=_with_pattern(schema, _write_pattern(tool.grammar, tool)))
    try:
        spell(schema, tool.source)
        check_multiples(schema, tool.source)
        if tool.strict:
            check_strict(schema, tool.source)
    except InvalidConstraint as error:
        if tool.strict:
            raise
        return loosen(tool, error.message)
    return replace(tool, parameters=schema)


def loosen(tool: Tool, reason: str) -> Tool:
    """The tool with the schema of any object. Raises InvalidGrammar for one whose text has a
    grammar."""
    if tool.grammar is not None:
        raise _refusal(tool, reason)
    _log.warning("the arguments of tool '%s' are only held to be an object: %s", tool.name, reason)
    return replace(tool, parameters=ANY_OBJECT)


def ease(tool: Tool, find_problem: FindProblem) -> Tool:
    """The tool without what cannot be enforced of its schema; if that does not help, with the
    schema of any object. Raises InvalidConstraint for one that is strict, InvalidGrammar for one
    whose text has a grammar."""
    reason = find_problem(tool)
    if reason is None:
        return tool
    if tool.grammar is not None:
        return loosen(tool, reason)
    schema = dict(tool.parameters or {})
    if tool.strict:
        raise InvalidConstraint(f"The JSON schema cannot be used: {reason}.", param=tool.source)
    given: Any = schema.get(OPTIONS)
    options = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    eased = replace(tool, parameters={**schema, OPTIONS: {**options, "lenient": True}})
    if find_problem(eased) is not None:
        return loosen(tool, reason)
    _log.warning(
        "the arguments of tool '%s' are not held to all of their schema: %s", tool.name, reason
    )
    return eased


def ease_all(tools: tuple[Tool, ...], find_problem: FindProblem) -> tuple[Tool, ...]:
    """The tools of a grammar that does not compile, those at fault eased: all of them are loosened,
    where it is no single one. Raises InvalidConstraint for strict ones."""
    deadline = time.monotonic() + _SEARCH_SECONDS
    made: list[Tool] = []
    for tool in tools:
        is_late = time.monotonic() > deadline
        made.append(
            loosen(tool, "the tools take too long to compile")
            if is_late
            else ease(tool, find_problem)
        )
    if made != list(tools):
        return tuple(made)
    return tuple(loosen(tool, "together the tools are too large") for tool in tools)


def _write_pattern(grammar: TextGrammar, tool: Tool) -> str:
    try:
        if grammar.syntax == "regex":
            return whole(grammar.definition)
        return whole(lark_to_regex(grammar.definition))
    except (ValueError, Unsupported) as error:
        raise _refusal(tool, str(error)) from None


def _refusal(tool: Tool, reason: str) -> InvalidGrammar:
    return InvalidGrammar(
        f"The grammar of tool '{tool.name}' cannot be used: {reason}.", param=tool.source
    )


def _with_pattern(schema: Mapping[str, Any], pattern: str) -> Mapping[str, Any]:
    members: Mapping[str, Any] = schema["properties"]
    return {
        **schema,
        "properties": {name: {**members[name], "pattern": pattern} for name in members},
    }


def _as_object(schema: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    kind: Any = schema.get("type", "object")
    if kind != "object" and not (isinstance(kind, list) and "object" in kind):
        raise InvalidConstraint(
            f"The parameters of a function must be a JSON schema of type 'object', not "
            f"{json.dumps(kind)[:60]}.",
            param=f"{source}.type",
        )
    closed = {} if _MORE_MEMBERS & schema.keys() or "properties" not in schema else _CLOSED
    return {**schema, "type": "object", **closed}
