"""Reading GBNF, llama.cpp's form of grammars, into a tree; `gbnf_lark` writes it as Lark."""

import re
from dataclasses import dataclass, replace

MAX_DEPTH = 64
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_REPEAT = re.compile(r"\{\s*([0-9]{1,9})\s*(?:(,)\s*([0-9]{1,9})?\s*)?\}")
_TOKEN = re.compile(r"(!?)<(?:\[([0-9]{1,9})\]|([^<>\r\n]+))>")
_ESCAPED = {"t": "\t", "r": "\r", "n": "\n", "\\": "\\", '"': '"', "[": "[", "]": "]", "-": "-"}
_HEX = {"x": 2, "u": 4, "U": 8}


class GbnfError(ValueError):
    """What is wrong, and in which line."""


@dataclass(frozen=True, slots=True)
class Literal:
    text: str


@dataclass(frozen=True, slots=True)
class Chars:
    """One character in (or, negated, in none of) the ranges; no range and negated is any."""

    ranges: tuple[tuple[str, str], ...]
    is_negated: bool


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Token:
    """A token of the vocabulary by id or by its text; negated, any other token."""

    id: int | None
    text: str | None
    is_negated: bool
    line: int


@dataclass(frozen=True, slots=True)
class Repeat:
    part: "Node"
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Series:
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Options:
    options: tuple["Node", ...]


Node = Literal | Chars | Rule | Token | Repeat | Series | Options


def parse_gbnf(text: str) -> dict[str, Node]:
    """The rules by name. Raises GbnfError."""
    return _Reader(text).read()


class _Reader:
    """Recursive descent; `_at` is the next character."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._used: list[Rule] = []

    def read(self) -> dict[str, Node]:
        rules: dict[str, Node] = {}
        self._skip(over_lines=True)
        while self._at < len(self._text):
            name = self._name()
            self._skip()
            if not self._take("::="):
                raise self._error("expected '::='")
            self._skip(over_lines=True)
            rules[name] = self._options(depth=0)
            if self._peek() not in ("", "\n", "\r"):
                raise self._error("expected the end of the rule")
            self._skip(over_lines=True)
        if "root" not in rules:
            raise GbnfError("there is no rule named 'root'")
        for rule in self._used:
            if rule.name not in rules:
                raise GbnfError(f"the rule '{rule.name[:80]}' in line {rule.line} is not defined")
        return rules

    def _options(self, depth: int) -> Node:
        options = [self._sequence(depth)]
        while self._take("|"):
            self._skip(over_lines=True)
            options.append(self._sequence(depth))
        return options[0] if len(options) == 1 else Options(tuple(options))

    def _sequence(self, depth: int) -> Node:
        parts: list[Node] = []
        while (part := self._part(depth)) is not None:
            self._skip(over_lines=depth > 0)
            if (counts := self._counts()) is not None:
                part = Repeat(part, *counts)
                self._skip(over_lines=depth > 0)
            parts.append(part)
        return parts[0] if len(parts) == 1 else Series(tuple(parts))

    def _part(self, depth: int) -> Node | None:
        head = self._peek()
        readers = {'"': self._literal, "[": self._chars, "<": self._token, "!": self._token}
        if head in readers:
            return readers[head]()
        if head == ".":
            self._at += 1
            return Chars((), is_negated=True)
        if head == "(":
            return self._group(depth)
        if not _NAME.match(head):
            return None
        rule = Rule(line=self._line(), name=self._name())
        self._used.append(rule)
        return rule

    def _group(self, depth: int) -> Node:
        if depth == MAX_DEPTH:
            raise self._error(f"groups are nested more than {MAX_DEPTH} levels deep")
        self._at += 1
        self._skip(over_lines=True)
        part = self._options(depth + 1)
        if not self._take(")"):
            raise self._error("expected ')'")
        return part

    def _literal(self) -> Node:
        self._at += 1
        found: list[str] = []
        while not self._take('"'):
            found.append(self._char())
        return Literal("".join(found))

    def _chars(self) -> Node:
        self._at += 1
        is_negated = self._take("^")
        ranges: list[tuple[str, str]] = []
        while not self._take("]"):
            first = last = self._char()
            if self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at):
                self._at += 1
                last = self._char()
            if last < first:
                raise self._error(f"the range from {first!r} to {last!r} is the wrong way round")
            ranges.append((first, last))
        return Chars(tuple(ranges), is_negated)

    def _char(self) -> str:
        char = self._peek()
        if not char:
            raise self._error("the text ends inside a literal or a character class")
        self._at += 1
        if char != "\\":
            return char
        kind = self._peek()
        self._at += 1
        if kind in _ESCAPED:
            return _ESCAPED[kind]
        digits = self._text[self._at : self._at + _HEX.get(kind, 0)]
        if kind in _HEX and re.fullmatch(f"[0-9a-fA-F]{{{_HEX[kind]}}}", digits):
            self._at += len(digits)
            code = int(digits, 16)
            if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF:
                return chr(code)
        raise self._error("unknown escape")

    def _token(self) -> Node:
        match = _TOKEN.match(self._text, self._at)
        if match is None:
            raise self._error("expected a token such as <think> or <[1000]>")
        line = self._line()
        self._at = match.end()
        negation, number, text = match.groups()
        token = Token(None, f"<{text}>", bool(negation), line)
        return replace(token, id=int(number), text=None) if number else token

    def _counts(self) -> tuple[int, int | None] | None:
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        head = self._peek()
        if head in simple:
            self._at += 1
            return simple[head]
        if head != "{":
            return None
        match = _REPEAT.match(self._text, self._at)
        if match is None:
            raise self._error("expected a count such as {3}, {3,} or {3,5}")
        self._at = match.end()
        least, most = int(match[1]), int(match[3]) if match[3] else None
        if match[2] is None:
            most = least
        if most is not None and most < least:
            raise self._error(f"{match[0]} allows nothing")
        return least, most

    def _name(self) -> str:
        match = _NAME.match(self._text, self._at)
        if match is None:
            raise self._error("expected the name of a rule")
        self._at = match.end()
        return match[0]

    def _skip(self, *, over_lines: bool = False) -> None:
        """Over blanks and comments, and over the ends of lines where asked."""
        blanks = " \t\r\n" if over_lines else " \t"
        while self._at < len(self._text):
            if self._text[self._at] == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            elif self._text[self._at] in blanks:
                self._at += 1
            else:
                return

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, word: str) -> bool:
        if not self._text.startswith(word, self._at):
            return False
        self._at += len(word)
        return True

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1

    def _error(self, problem: str) -> GbnfError:
        found = self._text[self._at : self._at + 20].splitlines()
        where = f"before {found[0]!r}" if found and found[0] else "at its end"
        return GbnfError(f"line {self._line()}, {where}: {problem}")
