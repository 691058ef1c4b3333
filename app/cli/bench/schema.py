"""The JSON schema that the structured-output workload asks for, and the check of its answers."""

import json
from typing import cast

KINDS = ["tool", "toy", "book", "food"]
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "kind": {"enum": KINDS},
        "price": {"type": "integer", "minimum": 1, "maximum": 999},
        "in_stock": {"type": "boolean"},
        "tags": {
            "type": "array",
            "items": {"type": "string", "maxLength": 10},
            "minItems": 2,
            "maxItems": 3,
        },
    },
    "required": ["name", "kind", "price", "in_stock", "tags"],
    "additionalProperties": False,
}


def mismatch(text: str) -> str | None:
    """Why `text` does not follow `SCHEMA`, or None when it does."""
    try:
        value: object = json.loads(text)
    except ValueError:
        return f"the answer is not JSON: {text[-80:]!r}"
    if not isinstance(value, dict):
        return f"the answer is not a JSON object: {text[:80]!r}"
    item = cast("dict[str, object]", value)
    price = item.get("price")
    rules = {
        "name": _is_text(item.get("name"), 20),
        "kind": item.get("kind") in KINDS,
        "price": type(price) is int and 1 <= price <= 999,
        "in_stock": isinstance(item.get("in_stock"), bool),
        "tags": _are_tags(item.get("tags")),
    }
    if broken := [name for name, holds in rules.items() if not holds]:
        return f"the answer breaks the schema at {', '.join(broken)}: {text[:120]!r}"
    if unknown := item.keys() - rules.keys():
        return f"the answer has properties the schema forbids: {', '.join(sorted(unknown))}"
    return None


def _is_text(value: object, limit: int) -> bool:
    return isinstance(value, str) and len(value) <= limit


def _are_tags(value: object) -> bool:
    if not isinstance(value, list):
        return False
    tags = cast("list[object]", value)
    return 2 <= len(tags) <= 3 and all(_is_text(tag, 10) for tag in tags)
