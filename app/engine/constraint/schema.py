"""JSON schemas: bounded before llguidance reads them, and their faults found by path."""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from decimal import Decimal
from typing import Any, cast

from app.core.errors import InvalidConstraint

MAX_DEPTH = 64
_MOST_REMAINDERS = 20_000  # some 50 milliseconds
_FIND_SECONDS = 0.5

_ONE = ("items", "additionalProperties", "additionalItems", "contains", "propertyNames", "not")
_MANY = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_NAMED = ("$defs", "definitions", "properties", "patternProperties", "dependentSchemas")


def spell(schema: Mapping[str, Any], source: str) -> str:
    """The schema as JSON text. Raises InvalidConstraint where it is nested too deeply."""
    _check_depth(schema, source)
    return json.dumps(schema, separators=(",", ":"))


def check_multiples(value: Any, source: str) -> None:
    """Refuse what llguidance bounds by none of its limits: `multipleOf` becomes an automaton with
    a state for each remainder, and several of them one for each of their common multiple.

    Everything is looked at, also what is no schema by its place: a `$ref` may lead there.
    """
    common = 1
    left: list[tuple[str, Any]] = [(source, value)]
    while left:
        path, one = left.pop()
        step = cast("dict[str, Any]", one).get("multipleOf") if isinstance(one, dict) else None
        if isinstance(step, bool) or not isinstance(step, int | float):
            step = 0
        if math.isfinite(step) and step:
            common = math.lcm(common, _digits(step))
            if common > _MOST_REMAINDERS:
                raise InvalidConstraint(
                    f"The JSON schema cannot be used: 'multipleOf' {step} needs too large an "
                    f"automaton; its digits, and their common multiple with other values of "
                    f"'multipleOf', may be at most {_MOST_REMAINDERS}.",
                    param=f"{path}.multipleOf",
                )
        left += _members(path, one)


def check_strict(schema: Mapping[str, Any], source: str) -> None:
    """OpenAI's strict mode: objects name all their properties, require each, and allow no other."""
    left: list[tuple[str, Any]] = [(source, dict(schema))]
    while left:
        path, one = left.pop()
        if isinstance(one, dict):
            node = cast("dict[str, Any]", one)
            _check_strict_object(node, path)
            left += ((f"{path}.{place}", holder[key]) for place, holder, key in _inner(node))


def find_fault(
    schema: Mapping[str, Any], source: str, is_fine: Callable[[dict[str, Any]], bool]
) -> str:
    """The path of the part without which the rest of the schema could be used.

    Parts are replaced by `true`, one after the other, until `is_fine`; the search goes on inside
    the last of them. After _FIND_SECONDS it is content with what it has.
    """
    root = node = deepcopy(dict(schema))
    path, deadline = source, time.monotonic() + _FIND_SECONDS
    while True:
        for place, holder, key in list(_inner(node)):
            if time.monotonic() > deadline:
                return path
            part, holder[key] = holder[key], True
            if is_fine(root):
                holder[key] = part
                path += f".{place}"
                break
        else:
            return path + _find_keyword(node, root, is_fine)
        if not isinstance(part, dict):
            return path
        node = cast("dict[str, Any]", part)


def _find_keyword(
    node: dict[str, Any], root: dict[str, Any], is_fine: Callable[[dict[str, Any]], bool]
) -> str:
    for keyword in sorted(node, key=lambda name: name == "type"):  # others need it to count
        del node[keyword]
        if is_fine(root):
            return f".{keyword}"
    return ""


def _check_strict_object(node: dict[str, Any], path: str) -> None:
    kind: Any = node.get("type")
    properties: Any = node.get("properties")
    kinds = cast("list[Any]", kind) if isinstance(kind, list) else [kind]
    if "object" not in kinds and not isinstance(properties, dict):
        return
    hint = "'strict' asks for this, as OpenAI's strict mode does; leave it out to do without"
    if node.get("additionalProperties") is not False:
        raise InvalidConstraint(
            f"'additionalProperties' of an object must be false: {hint}.",
            param=f"{path}.additionalProperties",
        )
    names = cast("dict[str, Any]", properties) if isinstance(properties, dict) else {}
    required: Any = node.get("required", [])
    for name in names:
        if not isinstance(required, list) or name not in required:
            raise InvalidConstraint(
                f"Every property must be required, and '{name[:80]}' is not: {hint}. An optional "
                f"value can be a union with null.",
                param=f"{path}.required",
            )


def _inner(node: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """The subschemas of one schema: the path from it, and what holds them under which key."""
    for keyword in _NAMED:
        named = node.get(keyword)
        if isinstance(named, dict):
            for name in cast("dict[str, Any]", named):
                yield f"{keyword}.{name}", cast("dict[str, Any]", named), name
    for keyword in _ONE:
        if isinstance(node.get(keyword), dict):
            yield keyword, node, keyword
    for keyword in _MANY:
        options = node.get(keyword)
        if isinstance(options, list):
            for index in range(len(cast("list[Any]", options))):
                yield f"{keyword}[{index}]", cast("list[Any]", options), index


def _members(path: str, value: Any) -> list[tuple[str, Any]]:
    """Whatever a JSON value holds that may hold more."""
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return [(f"{path}.{name}", v) for name, v in items if isinstance(v, dict | list)]
    if isinstance(value, list):
        items = enumerate(cast("list[Any]", value))
        return [(f"{path}[{index}]", v) for index, v in items if isinstance(v, dict | list)]
    return []


def _check_depth(schema: Mapping[str, Any], source: str) -> None:
    level = _members(source, schema)
    for _ in range(MAX_DEPTH):
        level = [member for path, value in level for member in _members(path, value)]
        if not level:
            return
    raise InvalidConstraint(
        f"The JSON schema is nested more than {MAX_DEPTH} levels deep.", param=level[0][0][:200]
    )


def _digits(number: float) -> int:
    """The significant digits as a whole number: 25 of 0.25, of 25 and of 250."""
    digits = Decimal(str(number)).normalize().as_tuple().digits
    return int("".join(map(str, digits)))
