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
- `lark.until("</parameter>")`: any text up to and with a marker. `lark.raw(terminal, marker)`: the
  same for strings that match a terminal (`string_grammar`).
- `one_of(a, b)`, and strings put together with spaces: llguidance's operators `| ( ) ? * +` work.
- `lark.rule(expression)`: a name for it, to be used more than once. Equal rules are written once.
  `lark.shared(key, write)`: the same for a rule that may stand in itself.
- `lark.check(schema)`: nothing, but what cannot be enforced in JSON cannot be compiled then.

What a format cannot say at all raises Unwritable.

The lexer is greedy and never goes back: text that may be anything is taken to its end, so what ends
it must stand in the same lexeme (`until`, `raw`), or be a special token. Two fixed texts may begin
alike. See `JsonCalls.write` for an example.
"""

import json
import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from app.core.messages import Tool

Spell = Callable[[str], Sequence[str | int]]
"""Splits text where a vocabulary has special tokens: pieces of text, and ids."""

# Between two JSON tokens: a model that may write any amount of space can do so for ever.
JSON_OPTIONS = {"whitespace_pattern": r"( |\n[ \t]{0,20})"}
_ANY = r"(?s:.)*"
_SOME = r"(?s:.)+"
_MAX_COUNTED = 5000
ANY = f"/{_ANY}/"
"""The terminal of any text."""
NEVER = "/a/ & /b/"
"""The terminal of none."""


class Unwritable(Exception):
    """The format of a model has no way to say what a schema asks for. The message says why."""


@dataclass(frozen=True, slots=True)
class Outset:
    """How answers are written that are made of calls, where that takes more than what opens a call
    in free text. `open`: what they begin with; `again`: what each further call begins with;
    `write`: how a call goes on after either."""

    open: str
    again: str
    write: Callable[["Lark", Sequence[Tool]], str]


@dataclass(frozen=True, slots=True)
class Sign:
    """What shows a call in text that has no markers for it. `start`: a terminal of any text up to
    there; `rest`: how the call goes on; `other`: what shows that it is none after all, if there is
    such a thing."""

    start: str
    rest: str
    other: str = ""


class Lark:
    """The rules of a grammar while it is written."""

    def __init__(self, spell: Spell, ends: Container[str | int] = ()) -> None:
        """`ends`: the special tokens that end an answer. Grammars leave them out: llguidance takes
        one only where nothing more needs to come."""
        self._spell = spell
        self._ends = ends
        self._names: dict[str, str] = {}  # of rules, by what they say
        self._shared: dict[str, str] = {}  # what rules say, by their names
        self._keys: dict[str, str] = {}  # of shared rules: their names
        self._failed: dict[str, Unwritable] = {}  # those that could not be written

    @property
    def rules(self) -> str:
        written = [f"{name}{definition}" for definition, name in self._names.items()]
        return "\n".join([*written, *(f"{name}: {what}" for name, what in self._shared.items())])

    @property
    def space(self) -> str:
        return self._define("SPACE", r": /( |\n[ \t]{0,20})?/")

    @property
    def blanks(self) -> str:
        return self._define("BLANKS", r": /[ \t\r\n]{0,8}/")

    @property
    def anything(self) -> str:
        return self._define("TEXT", f": {ANY}")

    def other(self, starts: Sequence[str]) -> str:
        """Text that begins with none of `starts`; where there are none, some text."""
        if not starts:
            return self._define("SOME", f": /{_SOME}/")
        without = f"~/({'|'.join(map(escape, starts))}){_ANY}/"
        return self._define("OTHER", f": {ANY} & {without}")

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

    def one_until(self, ways: Iterable[tuple[str, str]], beside: str = "") -> str:
        """Text up to where it matches the terminal of one of `ways`, and what follows there. The
        tokens `beside` may be among the text before it."""
        found = one_of(*(f"{self.lazy(start)} {rest}" for start, rest in ways))
        return f"({self.anything} {beside})* {found}" if beside else found

    def lazy(self, expression: str) -> str:
        """A lexeme that ends as soon as it can, and is preferred to text that could go on."""
        return self._define("lazy", f"[lazy]: {expression}")

    def prose(self, beside: str) -> str:
        """Any text, with the tokens `beside` among it."""
        return self.rule(
            f"{self.anything} ({beside} {self.anything})*" if beside else self.anything
        )

    def raw(self, terminal: str, marker: str, *, pad: str = "") -> str:
        """A string as it is, without quotes, up to and with `marker`. `pad` may stand before that
        and is no part of the string."""
        without = f"~/{_ANY}{escape(marker)}{_ANY}/"
        value = self._define("RAW", f": {terminal} & {without}")
        ways = [self.lazy(f"{value} {quote(pad + marker)}")]
        if isinstance(self._spell(marker)[0], int):
            # not lazily, or the first line would be the last
            padded = self._define("PADDED", f": {value} {quote(pad)}") if pad else value
            ways.append(f"{padded} {self.text(marker)}")
        return self.rule(one_of(*ways))

    def terminal(self, kind: str, expression: str) -> str:
        """A name, in capitals, for a terminal."""
        return self._define(kind, f": {expression}")

    def check(self, schema: Mapping[str, Any]) -> str:
        never = self.terminal("NEVER", NEVER)
        return f"{never} {self.json(schema)}"

    def shared(self, key: str, write: Callable[[], str]) -> str:
        """A rule that `write` spells, once for each `key`; what it spells may refer to it."""
        if (name := self._keys.get(key)) is None:
            name = self._keys[key] = f"shared_{len(self._keys)}"
            try:
                self._shared[name] = write()
            except Unwritable as error:
                self._failed[name] = error
                self._shared[name] = self.terminal("NEVER", NEVER)  # for what refers to it
        if name in self._failed:
            raise self._failed[name]
        return name

    def sequence(
        self,
        members: Sequence[tuple[str, bool]],
        more: Sequence[str] = (),
        *,
        comma: str = "",
        bounds: tuple[int, int | None] = (0, None),
    ) -> str:
        """Members in this order, with `comma` between; those without the flag may be left out.
        `more`: what may follow them, as often as it likes. `bounds`: how many there may be in all.
        Raises Unwritable where there is no way."""
        top = max(bounds[0], 1) if bounds[1] is None else bounds[1] + 1  # more counts as that
        if len(members) * top > _MAX_COUNTED:
            raise Unwritable("its members are too many to be counted")
        # what may follow, by how many there were
        rests = [self._finish(count, more, comma, bounds) for count in range(top + 1)]
        for member, is_needed in reversed(members):
            before: list[str | None] = []
            for count, without in enumerate(rests):
                after = rests[min(count + 1, top)]
                ways = [] if after is None else [f"{comma if count else ''} {member} {after}"]
                ways += [] if is_needed or without is None else [without]
                before.append(self.rule(one_of(*ways)) if ways else None)
            rests = before
        if rests[0] is None:
            raise Unwritable("there is no such number of members")
        return rests[0]

    def _finish(
        self, count: int, more: Sequence[str], comma: str, bounds: tuple[int, int | None]
    ) -> str | None:
        """What may follow `count` members that were named; None where nothing may."""
        least, most = max(bounds[0] - count, 0), bounds[1]
        left = None if most is None else most - count
        if left is not None and left < 0:
            return None
        if not more or left == 0:
            return None if least else '""'
        return self._repeat(one_of(*more), comma, least, left, is_first=not count)

    def items(
        self,
        first: Sequence[str],
        further: str | None,
        bounds: tuple[int, int | None],
        comma: str = "",
    ) -> str:
        """Items with `comma` between: the `first` ones, and then any number of `further` ones,
        within `bounds`. Raises Unwritable."""
        least, most = bounds
        first = first[:most]
        left = None if most is None else most - len(first)
        if further is None and least > len(first):
            raise Unwritable("it has too few items")
        if not first:
            return self._repeat(further, comma, least, most) if further and most != 0 else '""'
        rest = ""
        if further and left != 0:
            least_left = max(least - len(first), 0)
            rest = self._repeat(further, comma, least_left, left, is_first=False)
        for at, item in reversed(list(enumerate(first))):
            here = f"{comma if at else ''} {item} {rest}"
            rest = self.rule(here if at < least else f"({here})?")
        return rest

    @staticmethod
    def _repeat(
        item: str, comma: str, least: int, most: int | None, *, is_first: bool = True
    ) -> str:
        """Items with `comma` between, and before the first unless that `is_first` of all."""
        if not is_first or not comma:
            return f"({comma} {item}){{{least},{_top(most)}}}"
        more = "" if most == 1 else f"({comma} {item}){{{max(least - 1, 0)},{_top(most, 1)}}}"
        return f"{item} {more}" if least else f"({item} {more})?"

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


def _top(most: int | None, less: int = 0) -> str:
    return "" if most is None else str(most - less)


def escape(text: str) -> str:
    """`text` as it stands in a regular expression."""
    return re.escape(text).replace("/", r"\/").replace("\n", "n")
