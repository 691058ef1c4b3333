"""The schemas of tools, made ready for a grammar."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from app.core.errors import InvalidConstraint
from app.core.messages import Tool
from app.engine.constraint.schema import check_multiples, check_strict, spell

_log = logging.getLogger(__name__)

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
    not refuse it either; with `strict` it is refused. Raises InvalidConstraint.
    """
    given = tool.parameters
    schema = _NOTHING if given is None else _as_object(given, tool.source)
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
    _log.warning("the arguments of tool '%s' are only held to be an object: %s", tool.name, reason)
    return replace(tool, parameters=ANY_OBJECT)


def loosen_faulty(
    tools: tuple[Tool, ...], find_problem: Callable[[Tool], str | None]
) -> tuple[Tool, ...]:
    """The tools of a grammar that does not compile, those at fault loosened: all of them, where
    it is no single one. Raises InvalidConstraint for strict ones."""
    deadline = time.monotonic() + _SEARCH_SECONDS
    made: list[Tool] = []
    for tool in tools:
        late = time.monotonic() > deadline
        reason = "the tools take too long to compile" if late else find_problem(tool)
        made.append(tool if reason is None else loosen(tool, reason))
    if made != list(tools):
        return tuple(made)
    return tuple(loosen(tool, "together the tools are too large") for tool in tools)


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
