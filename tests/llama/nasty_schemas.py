"""Parameters of functions that are hard to hold a model to, by what is hard about them."""

from typing import Any

Node = dict[str, Any]


def members(properties: Node, required: list[str] | None = None, **more: Any) -> Node:
    """An object; all of its members are required if nothing else is said."""
    names = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": names, **more}


def closed(properties: Node, required: list[str] | None = None) -> Node:
    return members(properties, required, additionalProperties=False)


def text(most: int, **more: Any) -> Node:
    return {"type": "string", "maxLength": most, **more}


def array(items: Node, most: int, **more: Any) -> Node:
    return {"type": "array", "items": items, "maxItems": most, **more}


WHOLE: Node = {"type": "integer"}
ZIP = {"type": "string", "pattern": "^[0-9]{5}$"}
TREE = closed(
    {
        "v": WHOLE,
        "kids": array({"$ref": "#/$defs/n"}, 2),
        "up": {"anyOf": [{"$ref": "#/$defs/n"}, {"type": "null"}]},
    },
    ["v"],
)

SCHEMAS: dict[str, Node] = {
    "mixed": members({"a": {"enum": ["1", 1, True, "true", None, "null", "red", 2.5, 'q"u<o>te']}}),
    "constants": members(
        {"a": {"const": "5"}, "b": {"const": 5}, "c": {"enum": ["5", "x"]}, "d": {"const": None}}
    ),
    "formats": members(
        {
            "a": {"type": "string", "format": "date"},
            "b": {"type": "string", "format": "date-time"},
            "c": {"type": "string", "format": "uuid"},
            "d": {"type": "string", "format": "ipv4"},
            "e": {"type": ["string", "null"], "format": "ipv6"},
            "f": text(30, format="email"),
        }
    ),
    "patterns": members(
        {
            "a": text(8, pattern="^a|b$"),
            "b": text(8, pattern=r"^\d{3}/[<>]+$"),
            "c": text(9, pattern="x.y"),
            "d": text(5, minLength=3),
        }
    ),
    "unions": members(
        {
            "a": {"anyOf": [{"type": "integer", "minimum": 5, "maximum": 900}, ZIP]},
            "b": {"type": ["string", "number"], "maxLength": 8},
            "c": {"anyOf": [text(8), array(WHOLE, 3)]},
            "d": {"anyOf": [{"const": 0}, ZIP]},
            "e": {"type": ["null", "string", "boolean"], "maxLength": 6},
            "f": {"anyOf": [closed({"x": WHOLE}), text(7)]},
            "g": {"oneOf": [{"type": "integer"}, {"type": "boolean"}]},
        }
    ),
    "names": members(
        {
            'a"b': WHOLE,
            "a>b": text(5),
            "a b": {"type": "boolean"},
            "ü<x": text(4),
            " pad ": WHOLE,
            "a/b": text(4),
            "item": WHOLE,
        },
        ['a"b', "a>b", " pad "],
    ),
    "nested": members(
        {
            "o": closed({"p": closed({"q": array(closed({"z": {"enum": ["a", 1, None]}}), 2)})}),
            "l": array(array(text(3), 2), 2, minItems=1),
        }
    ),
    "recursive": {**members({"t": {"$ref": "#/$defs/n"}}), "$defs": {"n": TREE}},
    "in itself": closed({"name": text(4), "child": {"$ref": "#"}}, ["name"]),
    "map": members({"m": {"type": "object", "additionalProperties": WHOLE, "maxProperties": 3}}),
    "only a map": {"type": "object", "additionalProperties": {"enum": ["x", 1]}},
    "beside names": members({"k": {"type": "boolean"}}, additionalProperties=array(WHOLE, 2)),
    "named by a pattern": {
        "type": "object",
        "patternProperties": {"^x_": WHOLE},
        "additionalProperties": False,
    },
    "put together": {
        **members(
            {
                "a": {"allOf": [{"$ref": "#/$defs/s"}, {"maxLength": 4}]},
                "b": {"allOf": [{"type": ["string", "integer"]}, {"type": ["integer", "null"]}]},
                "c": {"$ref": "#/properties/b"},
            }
        ),
        "$defs": {"s": {"type": "string", "minLength": 2}},
    },
    "one of two objects": {
        "type": "object",
        "anyOf": [
            closed({"kind": {"const": "a"}, "x": WHOLE}),
            closed({"kind": {"const": "b"}, "x": text(4)}),
        ],
    },
    "numbers": members(
        {
            "a": {"type": "number", "minimum": -1.5, "exclusiveMaximum": 2},
            "b": {"type": "integer", "multipleOf": 5, "maximum": 50, "minimum": -50},
            "c": {"type": ["integer", "string"], "minimum": 3, "maximum": 10, "maxLength": 4},
        }
    ),
    "free": members({"a": {}, "b": {"maxLength": 3}, "c": True}, ["a", "b"]),
    "constant objects": members(
        {"a": {"enum": [{"k": [1, "x"]}, [], {}, "s", [None]]}, "b": {"const": {"z": {"y": "x"}}}}
    ),
    "tuples": members(
        {
            "a": {**array(text(3), 2, minItems=2), "prefixItems": [text(3), WHOLE], "items": False},
            "b": {
                "type": "array",
                "prefixItems": [WHOLE],
                "items": {"type": "null"},
                "maxItems": 3,
            },
        }
    ),
    "no member": closed({}),
    "some member": {**closed({"a": WHOLE, "b": text(4)}, []), "minProperties": 1},
    "code": members(
        {"code": {"type": "string"}, "n": WHOLE, "l": array({"type": "string"}, 3)}, ["code", "l"]
    ),
}
