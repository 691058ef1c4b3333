"""Values that a format carries as bare text, told as JSON of a type that their schema allows."""

import ast
import json
import re
from collections.abc import Callable
from typing import Any

from app.chat.parsers.markers import Markers
from app.chat.parsers.scanner import SPACE, Malformed, Scanner, Steps
from app.chat.parsers.schema import Schema
from app.chat.parsers.schema_nodes import type_of

STRING = frozenset({"string"})
_NULLABLE_STRING = frozenset({"string", "null"})
_BRACKETS = {"[": "array", "{": "object"}
_NULLS = ("null", "None")
_JSON_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_JSON_START = re.compile(r"[\s\w,:.+\[\]{}-]*")
_WORDS = {"true": "true", "false": "false", "null": "null", "none": "null"}


class TypedText:
    """The text of one value while it arrives.

    A string is told as it comes. Any other value is told when it is whole, and so is one of which
    only the whole shows whether it is a string. `types` is what the schema allows, or the format
    itself tells; empty for all.
    """

    def __init__(
        self, schema: Schema, tell: Callable[[str], None], types: frozenset[str] | None = None
    ) -> None:
        self._schema = schema
        self._types = schema.types if types is None else types
        self._tell = tell
        self._pieces: list[str] = []
        self._is_string = self._types == STRING
        if self._is_string:
            tell('"')

    def add(self, text: str) -> None:
        if self._is_string:
            self._tell(escape(text))
            return
        self._pieces.append(text)
        if self._types == _NULLABLE_STRING and not any(n.startswith(self._text) for n in _NULLS):
            self._is_string = True
            self._tell('"' + escape(self._text))

    def end(self) -> None:
        self._tell('"' if self._is_string else to_json(self._text, self._types, self._schema))

    @property
    def is_in_string(self) -> bool:
        """What has come is JSON so far, and ends within a string of an array or an object."""
        if self._is_string or _BRACKETS.get(self._text.lstrip(SPACE)[:1]) not in self._types:
            return False
        before, quote_mark, inside = _JSON_STRING.sub("", self._text).partition('"')
        return bool(quote_mark) and "\n" not in inside and bool(_JSON_START.fullmatch(before))

    @property
    def _text(self) -> str:
        return "".join(self._pieces)


def read_typed(
    scan: Scanner, value: TypedText, ends: Markers, is_end: Callable[[str], Steps[bool]]
) -> Steps[None]:
    """Up to and with the first of `ends` that `is_end`; the others are part of the value. Raises
    Malformed where the text ends before."""
    while True:
        marker = yield from scan.stream_until(ends, value.add)
        if marker is None:
            raise Malformed
        if not value.is_in_string and (yield from is_end(marker)):
            break
        value.add(marker)
    value.end()


def escape(text: str) -> str:
    """`text` as it stands inside a JSON string."""
    return quote(text)[1:-1]


def quote(text: str) -> str:
    """`text` as a JSON string."""
    return json.dumps(text, ensure_ascii=False)


def read_text(text: str, schema: Schema) -> Any:
    """The value that `text` is read as."""
    return json.loads(to_json(text, schema.types, schema))


def to_json(text: str, types: frozenset[str], schema: Schema) -> str:
    """JSON text of one of `types` (empty: of any), a string where `text` is nothing else. Of what
    could be several, `schema` says what is allowed."""
    if types == STRING:
        return quote(text)
    value = text.strip(SPACE)
    if (parsed := _parse(value)) is not None:
        found = type_of(parsed[0])
        wider = "number" if found == "integer" else found
        is_meant = found != "string" and bool(types & {found, wider}) and schema.admits(parsed[0])
        is_allowed = schema.types != STRING or found == "string"
        if ("string" not in types and is_allowed) or is_meant:
            return value
    if types == _NULLABLE_STRING and value in _NULLS and value not in schema.constants:
        return "null"
    if not types and not schema.types and value.startswith(tuple(_BRACKETS)):
        return _from_python(value) or quote(text)
    if types and "string" not in types:
        written = _WORDS.get(value.lower()) or _from_python(value) or _from_escaped(value)
        if written is not None:
            return written
    return quote(text)


def _parse(text: str) -> tuple[Any] | None:
    """The value of JSON text, in a tuple, for it may be None."""
    try:
        return (json.loads(text, parse_constant=_refuse_constant),)
    except (ValueError, RecursionError):
        return None


def _from_python(text: str) -> str | None:
    """Templates print lists and objects as Python does, so models write them that way too."""
    try:
        value: Any = ast.literal_eval(text)
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def _from_escaped(text: str) -> str | None:
    """Some models write lists and objects as they would stand in a JSON string."""
    inner = _parse(f'"{text}"') if text.startswith(("[", "{")) else None
    return inner[0] if inner and _parse(inner[0]) else None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
