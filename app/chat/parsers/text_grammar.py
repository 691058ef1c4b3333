"""Writing parameters whose values are bare text: what `typed_text` reads."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from app.chat.lark import Lark, Unwritable, escape, one_of, quote
from app.chat.parsers import string_grammar as strings
from app.chat.parsers.schema import Schema, stand_alone
from app.chat.parsers.schema_forms import ObjectForm
from app.chat.parsers.schema_nodes import NOTHING
from app.chat.parsers.typed_text import STRING, read_text

TYPES = frozenset({"null", "boolean", "number", "array", "object", "string"})
_SPACE = r"[ \t\r\n]*"
_NUMBER = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_INTEGER = r"-?(0|[1-9][0-9]*)(\.0+|(\.[0-9]+)?[eE][+-]?[0-9]+)?"
# What text is read as a value of a type, up to its end or to white space there.
_SPELLED = {
    "null": "(null|None)",
    "boolean": "(true|false)",
    "number": f"({_NUMBER})",
    "integer": f"({_INTEGER})",
}
_EXPONENT = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?[eE][+-]?[0-9]+"
_STARTS = {"array": r"\[", "object": r"\{"}
_IN_KEY = r"""<>"'&=:,/\\{}[]()""".replace("/", r"\/").replace("[]", r"\[\]")
_KEY = rf"/[^\s{_IN_KEY}]([^\n{_IN_KEY}]{{0,62}}[^\s{_IN_KEY}])?/"
_ANY_KEY = "/[A-Za-z_][A-Za-z0-9_]{0,40}/"


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an object to be written. `name` is None for one of any name that `key` spells;
    `reading` is what the reader knows of its value, which may be less than `schema`."""

    name: str | None
    key: str
    schema: Schema
    reading: Schema


WriteMember = Callable[[Member], str]


def write_forms(schema: Schema, write: Callable[[ObjectForm], str]) -> str:
    """The ways to be an object, as far as they can be written."""
    ways: list[str] = []
    problem = Unwritable("its schema allows nothing that can be written")
    for form in schema.objects:
        try:
            ways.append(write(form))
        except Unwritable as error:
            problem = error
    if not ways:
        raise problem
    return one_of(*ways)


def write_members(
    lark: Lark, schema: Schema, form: ObjectForm, write: WriteMember, comma: str = ""
) -> str:
    """The members of an object in the order of its schema, some of which may be left out, and then
    those that the schema has no names for. What cannot be said is left out where it may be."""
    named = list(_spell_members(schema, form, write))
    others = [write(member) for member in _spell_others(lark, schema, form)]
    bounds = (0, None) if schema.is_lenient else form.bounds
    return lark.sequence(named, others, comma=comma, bounds=bounds)


def _spell_members(
    schema: Schema, form: ObjectForm, write: WriteMember
) -> Iterator[tuple[str, bool]]:
    """Those with names, and whether they must be there."""
    has_more = len(schema.objects) > 1
    for name in form.names:
        node, is_needed = form.member(name), form.requires(name)
        if node == NOTHING and not is_needed:
            continue
        value = Schema(node, schema.root)
        reading = schema.property(name) if has_more else value
        try:
            yield write(Member(name, quote(name), value, reading)), is_needed
        except Unwritable as error:
            if is_needed:
                raise Unwritable(f"'{name[:80]}': {error}") from None


def _spell_others(lark: Lark, schema: Schema, form: ObjectForm) -> Iterator[Member]:
    """Members of other names than the schema knows."""
    known = [quote(name) for name in schema.property_names]
    patterns = [strings.search(pattern) for pattern in form.patterns]
    found = zip(patterns, map(form.matching, form.patterns), strict=True)
    ways = [(strings.all_of(_KEY, pattern), pattern, node) for pattern, node in found]
    if form.others != NOTHING:
        ways.append((strings.all_of(_ANY_KEY, strings.none_of(*patterns)), "", form.others))
    for terminal, _, node in ways:
        if node == NOTHING or not terminal:
            continue
        key = lark.terminal("KEY", strings.all_of(terminal, strings.none_of(*known)))
        value = Schema(node, schema.root)
        yield Member(None, key, value, value)


@dataclass(frozen=True, slots=True)
class Place:
    """Where bare text stands: up to and with `close`. `pad` may stand before that and does not
    belong to the value. `avoid`: a terminal of strings that are markup to the reader."""

    close: str
    pad: str = ""
    avoid: str = ""


def write_text(
    lark: Lark,
    place: Place,
    schema: Schema,
    reading: Schema | None = None,
    only: frozenset[str] = TYPES,
) -> str:
    """A value and what closes it: a string as it is, any other value as JSON. `reading`: what the
    reader knows of it; `only`: the types that are written so. Raises Unwritable."""
    reading = reading or schema
    asked = [one.essence for one in (schema, reading)]
    if None in asked:
        return _write_text(lark, place, schema, reading, only)
    key = json.dumps([*asked, schema.is_lenient, str(place), sorted(only)])
    return lark.shared(key, lambda: _write_text(lark, place, schema, reading, only))


def _write_text(
    lark: Lark, place: Place, schema: Schema, reading: Schema, only: frozenset[str]
) -> str:
    close, pad = place.close, place.pad
    allowed = strings.none_of(place.avoid)
    if schema.is_free:
        return lark.raw(allowed, close, pad=pad)
    check_listed(schema, lambda text: close not in text and read_text(text, reading) == text)
    if schema.types == STRING == reading.types:
        terminal = _some(strings.write_strings(schema))
        return lark.raw(strings.all_of(terminal, allowed), close, pad=pad)
    types = (schema.types or TYPES) & _with_integers(only)
    may_be_string = not reading.types or "string" in reading.types
    ways: list[str] = []
    if others := types - STRING if reading.types else types:
        gap = (pad and quote(pad)) if may_be_string else lark.space
        ways.append(f"{write_narrowed(lark, schema, others)} {gap} {lark.text(close)}")
    if terminal := _write_read_back(schema, reading, (pad or close)[0]):
        ways.append(lark.raw(strings.all_of(terminal, allowed), close, pad=pad))
    if not ways:
        raise Unwritable("none of its values can be written")
    return one_of(*ways)


def write_json(lark: Lark, schema: Schema, types: frozenset[str], close: str) -> str:
    """A value of one of `types` as JSON, up to and with `close`."""
    return f"{write_narrowed(lark, schema, types)} {lark.space} {lark.text(close)}"


def write_typed(lark: Lark, schema: Schema, name: str, close: str) -> str:
    """A value of the type `name`, where the format tells it."""
    if name != "string":
        return write_json(lark, schema, frozenset({name}), close)
    check_listed(schema, lambda text: close not in text)
    return lark.raw(_some(strings.write_strings(schema)), close)


def check_listed(schema: Schema, can_be_said: Callable[[str], bool]) -> None:
    """Raises Unwritable where a string that a schema lists cannot be said. A schema that is not to
    be enforced to the letter goes without it."""
    for value in () if schema.is_lenient else schema.constants:
        if isinstance(value, str) and not can_be_said(value):
            raise Unwritable(f"the value {json.dumps(value)[:80]} would be read as another")


def write_narrowed(lark: Lark, schema: Schema, types: frozenset[str]) -> str:
    """A value of one of `types` as JSON."""
    node = stand_alone(schema)
    if schema.types == types:
        return lark.json(node)
    outer = {key: node[key] for key in ("$defs", "x-guidance") if key in node}
    inner = {key: value for key, value in node.items() if key not in outer}
    kinds = sorted(types)
    kind: Any = kinds if len(kinds) > 1 else kinds[0]
    return lark.json({**outer, "type": kind, "allOf": [inner]} if inner else {"type": kind})


def _write_read_back(schema: Schema, reading: Schema, after: str) -> str:
    """A terminal of the strings of a schema that are read as strings, not as other values; empty
    where there are none. `after` follows a value.

    JSON beside them is read by its own lexemes, which end where the text cannot go on as a string.
    So none may begin with a value and `after`, and none like an array or an object.
    """
    terminal = strings.write_strings(schema)
    if not terminal:
        return ""
    types = reading.types or TYPES
    listed = [value for value in reading.constants if not isinstance(value, str)]
    scalars = [_SPELLED[name] for name in sorted(types) if name in _SPELLED]
    starts = [_STARTS[name] for name in sorted(types) if name in _STARTS]
    starts += [] if reading.types else ['"']
    if reading.open_types.isdisjoint(_SPELLED):
        scalars = [_spell(value) for value in listed if not isinstance(value, list | dict)]
    taken = [f"/{_SPACE}({'|'.join(starts)})(?s:.)*/"] if starts else []
    if scalars:
        spelled = "|".join(scalars)
        taken.append(f"/{_SPACE}({spelled})({_SPACE}|{escape(after)}(?s:.)*)/")
    kept = [
        quote(text)
        for text in schema.constants
        if isinstance(text, str) and read_text(text, reading) == text
    ]
    return strings.all_of(terminal, strings.one_of(strings.none_of(*taken), *kept))


def _spell(value: Any) -> str:
    """What is read as a value that is no string, as a regular expression."""
    if value is None or isinstance(value, bool):
        return f"({json.dumps(value)}{'|None' if value is None else ''})"
    if isinstance(value, float) and not value.is_integer():
        return _SPELLED["number"]
    return rf"({'-?' if value == 0 else ''}{int(value)}(\.0+)?|{_EXPONENT})"


def _with_integers(types: frozenset[str]) -> frozenset[str]:
    return types | {"integer"} if "number" in types else types


def _some(terminal: str) -> str:
    if not terminal:
        raise Unwritable("none of its values can be written")
    return terminal
