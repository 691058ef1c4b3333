"""Schemas, patterns and grammars that are made to break a compiler."""

from collections.abc import Callable
from typing import Any


def nest(levels: int, wrap: Callable[[Any], Any], inner: Any) -> Any:
    for _ in range(levels):
        inner = wrap(inner)
    return inner


def chain(length: int, wrap: Callable[[Any], Any]) -> dict[str, Any]:
    """Definitions each of which refers to the next."""
    defs = {f"{i}": wrap({"$ref": f"#/$defs/{i + 1}"}) for i in range(length)}
    return {"$defs": {**defs, f"{length}": {}}, "$ref": "#/$defs/0"}


SCHEMAS: dict[str, dict[str, Any]] = {
    "deep": nest(500, lambda x: {"items": x}, {}),
    "exponential anyOf": nest(14, lambda x: {"anyOf": [x, x]}, {"type": "string"}),
    "product": {"allOf": [{"oneOf": [{"const": f"{i}{j}"} for j in range(30)]} for i in range(4)]},
    "itself": {"$ref": "#"},
    "loop": {
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
        "$ref": "#/$defs/a",
    },
    "loop of allOf": {"allOf": [{"$ref": "#"}, {"type": "object"}]},
    "chain of references": chain(8000, lambda x: x),
    "chain of items": chain(370, lambda x: nest(58, lambda y: {"items": y}, x)),
    "chain of options": chain(500, lambda x: nest(28, lambda y: {"anyOf": [y]}, x)),
    "many required": {"type": "object", "required": [f"r{i}" for i in range(20_000)]},
    "many properties": {"type": "object", "properties": {f"p{i}": {} for i in range(5000)}},
    "many options": {"enum": [f"value number {i}" for i in range(9000)]},
    "too large": {"const": "x" * 1_000_000},
    "length": {"type": "string", "minLength": 10**18},
    "items": nest(9, lambda x: {"items": x, "minItems": 1000, "maxItems": 1000}, {}),
    "quantifiers": {"type": "string", "pattern": "^((a{1000}){1000}){1000}$"},
    "states": {"type": "string", "pattern": "^.*a.{1000}$"},
    "intersection": {"allOf": [{"type": "string", "pattern": f".*{c}.{{20}}"} for c in "abcdefgh"]},
    "number range": {"type": "number", "minimum": 1e-300, "maximum": 1e300},
    "multiple": {"type": "integer", "multipleOf": 9973, "minimum": 12345, "maximum": 10**12},
    "separator": {"x-guidance": {"item_separator": "(a|b)*a(a|b){24}"}, "type": "array"},
    "nothing": {"allOf": [{"type": "string"}, {"type": "integer"}]},
}
PATTERNS: dict[str, str] = {
    "pattern quantifiers": "((a{1000}){1000}){1000}",
    "pattern states": "(a|b)*a(a|b){30}",
    "pattern parentheses": "(" * 8000 + "a" + ")" * 8000,
    "pattern options": "a?" * 5000,
    "pattern count": "a{1000000000}",
    "pattern classes": r"[\p{L}\p{N}]{1,10000}",
    "pattern never": r"[^\s\S]",
    "pattern look-ahead": "(?=a)b",
}
GRAMMARS: dict[str, str] = {
    "infinite": "start: a\na: b\nb: a",
    "empty": "start: (a*)*\na: (b | )*\nb:",
    "ambiguous": 'start: s\ns: s s | "a" | ""',
    "recursive terminal": 'start: A\nA: "x" A',
    "nested repeats": "start: " + nest(8, lambda x: f"({x}){{1000}}", '"a"'),
    "terminal repeats": "start: A\nA: " + nest(8, lambda x: f"({x}){{1000}}", '"a"'),
    "complements": "start: A\nA: " + " & ".join(f"~/.*{c}.{{25}}/" for c in "abcdefg"),
    "many intersections": "start: A\nA: " + " & ".join(f"/.*a{i}/" for i in range(40)),
    "inline schema": 'start: %json {"type": "integer", "multipleOf": 999983}',
    "deep inline schema": 'start: %json {"items": ' * 3000 + "{}" + "}" * 3000,
    "chain of rules": "\n".join(
        ["start: r0", *(f'r{i}: "a" r{i + 1} | "b"' for i in range(8000)), 'r8000: "x"']
    ),
    "chain of terminals": "\n".join(
        ["start: A0", *(f'A{i}: A{i + 1} | "x" A{i + 1}' for i in range(8000)), 'A8000: "x"']
    ),
    "a file": "%import .etc.passwd (X)\nstart: X",
    "gbnf left recursion": 'root ::= root "a" | "a"',
    "gbnf infinite": "root ::= root",
    "gbnf empty options": 'root ::= | ("" | )* x\nx ::= x* | ""',
    "gbnf doubling": "\n".join(
        ["root ::= r0", *(f"r{i} ::= r{i + 1} r{i + 1}" for i in range(60)), 'r60 ::= "x"']
    ),
    "gbnf chain": "\n".join(
        ["root ::= r0", *(f'r{i} ::= "a" r{i + 1} | "b"' for i in range(6000)), "r6000 ::= root"]
    ),
    "gbnf repeats": 'root ::= (("a"{1000}){1000}){1000}',
}
