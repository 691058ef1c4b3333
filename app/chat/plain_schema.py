"""JSON schemas as some templates need them: every value with one type and a description."""

from collections.abc import Mapping
from typing import Any, cast


def flatten_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with one `type` for each value: of several the first that is not null. Only for
    prompts; what it leaves out holds all the same."""
    plain = dict(schema)
    for key in ("anyOf", "oneOf", "allOf"):
        variants = plain.pop(key, None)
        if isinstance(variants, list) and "type" not in plain:
            plain = _choose_variant(cast("list[Any]", variants)) | plain
    plain["type"] = _one_type(plain)
    plain.setdefault("description", "")
    properties: Any = plain.get("properties")
    if isinstance(properties, Mapping):
        named = cast("Mapping[str, Any]", properties).items()
        plain["properties"] = {name: _flatten_any(value) for name, value in named}
    if plain["type"] == "object":
        plain.setdefault("properties", {})
    if plain["type"] == "array":
        plain["items"] = _flatten_any(plain.get("items"))
    return plain


def _flatten_any(value: Any) -> dict[str, Any]:
    """Of a schema; `true` and what is absent say nothing."""
    return flatten_schema(cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {})


def _choose_variant(variants: list[Any]) -> dict[str, Any]:
    schemas = [
        dict(cast("Mapping[str, Any]", variant))
        for variant in variants
        if isinstance(variant, Mapping)
    ]
    empty: dict[str, Any] = {}
    return next((one for one in schemas if one.get("type") != "null"), empty)


def _one_type(schema: Mapping[str, Any]) -> str:
    kind: Any = schema.get("type")
    kinds = cast("list[Any]", kind) if isinstance(kind, list) else [kind]
    named = (one for one in kinds if isinstance(one, str) and one != "null")
    return next(named, "object" if "properties" in schema else "string")
