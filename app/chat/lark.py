r"""Writing the grammar of tool calls, in the Lark that llguidance reads.

A call syntax has two faces: `read` takes calls apart, `write` says how they are spelled, so that a
model can be held to it. Both speak of the same text: what `write` lets through, `read` must read as
whole calls (a property test over all formats holds them together).

    def write(self, lark: Lark, opener: str, tools: Sequence[Tool], *, many: bool) -> str:

returns the expression of what follows `opener`, up to and with what closes the call (or the list
of calls; more than one only with `many`). Openers themselves are the caller's. Every tool has
`parameters`, a JSON schema of an object. What there is to write with:

- `lark.text("<end>\n")`: fixed text. What the vocabulary has as special tokens becomes those.
- `quote("}")`: fixed text that must not become a token, such as names.
- `lark.json(schema)`: a JSON value. `lark.space`: the white space JSON may have between its parts.
- `lark.until("</parameter>")`: any text up to and with a marker. `lark.raw(schema, marker)`: the
  same for a string that its schema allows.
- `one_of(a, b)`, and strings put together with spaces: llguidance's operators `| ( ) ? * +` work.
- `lark.rule(expression)`: a name for it, to be used more than once. Equal rules are written once.

The lexer is greedy and never goes back: text that may be anything is taken to its end, so what ends
it must stand in the same lexeme (`until`, `raw`), or be a special token. Two fixed texts may begin
alike. See `JsonCalls.write` for an example.
"""

import json
import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any, cast

Spell = Callable[[str], Sequence[str | int]]
"""Splits text where a vocabulary has special tokens: pieces of text, and ids."""

# Between two JSON tokens: a model that may write any amount of space can do so for ever.
JSON_OPTIONS = {"whitespace_pattern": r"( |\n[ \t]{0,20})"}
_ANY = r"(?s:.)*"
_SOME = r"(?s:.)+"


class Lark:
    """The rules of a grammar while it is written."""

    def __init__(self, spell: Spell, ends: Container[str | int] = ()) -> None:
        """`ends`: the special tokens that end an answer. Grammars leave them out: llguidance takes
        one only where nothing more needs to come."""
        self._spell = spell
        self._ends = ends
        self._names: dict[str, str] = {}  # of rules, by what they say

    @property
    def rules(self) -> str:
        return "\n".join(f"{name}{definition}" for definition, name in self._names.items())

    @property
    def space(self) -> str:
        return self._define("SPACE", r": /( |\n[ \t]{0,20})?/")

    @property
    def blanks(self) -> str:
        return self._define("BLANKS", r": /[ \t\r\n]{0,8}/")

    @property
    def anything(self) -> str:
        return self._define("TEXT", f": /{_ANY}/")

    def other(self, starts: Sequence[str], *, is_some: bool = False) -> str:
        """Text that begins with none of `starts`; where there are none, some text. `is_some`: it
        is not empty, so that nothing that may follow it is taken instead."""
        if not starts:
            return self._define("SOME", f": /{_SOME}/")
        without = f"~/({'|'.join(map(_escape, starts))}){_ANY}/"
        return self._define("OTHER", f": /{_SOME if is_some else _ANY}/ & {without}")

    def rule(self, expression: str) -> str:
        return self._define("rule", f": {expression}")

    def text(self, literal: str) -> str:
        pieces = (piece for piece in self._spell(literal) if piece not in self._ends)
        return " ".join(map(self._write_piece, pieces))

    @staticmethod
    def _write_piece(piece: str | int) -> str:
        return token(piece) if isinstance(piece, int) else quote(piece)

    def json(self, schema: Mapping[str, Any]) -> str:
        options: Any = schema.get("x-guidance")
        given = cast("dict[str, Any]", options) if isinstance(options, dict) else {}
        whole = {**schema, "x-guidance": {**JSON_OPTIONS, **given}}
        return self._define("json", f": %json {json.dumps(whole)}")

    def until(self, marker: str, *, text: str = "", beside: str = "") -> str:
        """Text up to and with `marker`, whether that comes as tokens of its own or as plain text.
        `text`: a terminal of what may stand before it, anything by default; `beside`: the tokens
        that may be among it."""
        text = text or self.anything
        ways = [self.lazy(f"{text} {quote(marker)}")]
        pieces = self._spell(marker)
        if any(isinstance(piece, int) for piece in pieces):
            *before_last, last = map(self._write_piece, pieces)
            # lazily: text of the marker must not be taken for more of the text before it
            last = self.lazy(last) if isinstance(pieces[-1], str) else last
            rest = [*before_last, last]
            ways.append(f"{text} {' '.join(rest)}")
        before = f"({text} {beside})* " if beside else ""
        return self.rule(f"{before}{one_of(*ways)}")

    def lazy(self, expression: str) -> str:
        """A lexeme that ends as soon as it can, and is preferred to text that could go on."""
        return self._define("lazy", f"[lazy]: {expression}")

    def prose(self, beside: str) -> str:
        """Any text, with the tokens `beside` among it."""
        return self.rule(
            f"{self.anything} ({beside} {self.anything})*" if beside else self.anything
        )

    def raw(self, schema: Mapping[str, Any], marker: str, *, pad: str = "") -> str:
        """A string as it is, without quotes, up to and with `marker`. `pad` may stand before that
        and is no part of the string."""
        bounds = list(_bounds(schema))
        if not bounds:
            return self.until(marker)
        without = f"~/{_ANY}{_escape(marker)}{_ANY}/"
        value = self._define("RAW", f": {' & '.join([*bounds, without])}")
        ways = [self.lazy(f"{value} {quote(pad + marker)}")]
        if isinstance(self._spell(marker)[0], int):
            ended = self.lazy(f"{value} {quote(pad)}") if pad else value
            ways.append(f"{ended} {self.text(marker)}")
        return self.rule(one_of(*ways))

    def sequence(self, members: Sequence[tuple[str, bool]], comma: str) -> str:
        """Members in this order with `comma` between; those without the flag may be left out."""
        first = rest = '""'  # what follows at the start, and after a member
        for member, is_required in reversed(members):
            here, after = f"{member} {rest}", f"{comma} {member} {rest}"
            first = self.rule(here if is_required else one_of(here, first))
            rest = self.rule(after if is_required else one_of(after, rest))
        return first

    def _define(self, kind: str, definition: str) -> str:
        return self._names.setdefault(definition, f"{kind}_{len(self._names)}")


def quote(text: str) -> str:
    return json.dumps(text)


def one_of(*options: str) -> str:
    return f"({' | '.join(options)})"


def token(*ids: int) -> str:
    """One of some tokens of the vocabulary."""
    return f"<[{','.join(_ranges(sorted(ids)))}]>"


def _ranges(ids: Iterable[int]) -> list[str]:
    """Sorted ids with runs of neighbours as one range."""
    runs: list[list[int]] = []
    for one in ids:
        if runs and runs[-1][1] == one - 1:
            runs[-1][1] = one
        else:
            runs.append([one, one])
    return [f"{first}-{last}" if last > first else str(first) for first, last in runs]


def _bounds(schema: Mapping[str, Any]) -> Iterable[str]:
    """What a schema asks of a string, as terminals that must all match."""
    values: Any = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list):
        strings = [value for value in cast("list[Any]", values) if isinstance(value, str)]
        yield one_of(*map(quote, strings))
    least, most = schema.get("minLength"), schema.get("maxLength")
    if isinstance(least, int) or isinstance(most, int):
        yield f"/(?s:.){{{least or 0},{'' if most is None else most}}}/"
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        head = "" if pattern.startswith("^") else _ANY
        tail = "" if pattern.endswith("$") else _ANY
        inner = pattern.removeprefix("^").removesuffix("$").replace("/", r"\/")
        yield f"/{head}({inner}){tail}/"


def _escape(text: str) -> str:
    return re.escape(text).replace("/", r"\/")
