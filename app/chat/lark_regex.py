r"""A Lark grammar as one regular expression, where none of its rules stands in itself.

The text of a custom tool travels inside a call: in a JSON string, between tags, in Python. A
regular expression can be held there whatever the spelling (`pattern` of a JSON schema); a grammar
with a lexer of its own cannot, since where a lexeme ends would depend on how its next character is
escaped. Rules that need no stack lose nothing by it.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from app.chat.parsers.string_grammar import whole

MAX_CHARACTERS = 64 * 1024
"""Of the regular expression."""
_MAX_DEPTH = 100
_TOKEN = re.compile(
    r"""
    (?P<head> ^[ \t]*[?!]*[A-Za-z_][\w-]*(?:\.-?\d+)?[ \t]*: )
    | [ \t\r]+ | \n | (?:\#|//)[^\n]*
    | (?P<text> "(?:\\.|[^"\\\n])*"i? )
    | (?P<regex> /(?:\\.|[^/\\\n])+/[a-z]* )
    | (?P<directive> %(?:import|ignore)\b )
    | (?P<label> ->[ \t]*\w+ )
    | (?P<count> \{\d*,?\d*\} | ~[ \t]*\d+(?:[ \t]*\.\.[ \t]*\d+)? )
    | (?P<name> [A-Za-z_][\w-]* )
    | (?P<mark> \.\. | [|()\[\]?*+.] )
    """,
    re.VERBOSE | re.MULTILINE,
)
_MARKS = {"(": "(?:", "[": "(?:", "]": ")?"} | {mark: mark for mark in ")|?*+"}
_LIBRARY = {
    "CNAME": "[_A-Za-z][_A-Za-z0-9]*",
    "CR": r"\r",
    "DECIMAL": r"([0-9]+\.[0-9]*|\.[0-9]+)",
    "DIGIT": "[0-9]",
    "ESCAPED_STRING": r'"([^"\\\n]|\\.)*"',
    "FLOAT": r"([0-9]+(\.[0-9]*)?|\.[0-9]+)[eE][+-]?[0-9]+|[0-9]+\.[0-9]*|\.[0-9]+",
    "HEXDIGIT": "[0-9A-Fa-f]",
    "INT": "[0-9]+",
    "LCASE_LETTER": "[a-z]",
    "LETTER": "[A-Za-z]",
    "LF": r"\n",
    "NEWLINE": r"(\r?\n)+",
    "NUMBER": r"([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?",
    "SH_COMMENT": r"#[^\n]*",
    "SIGNED_INT": "[+-]?[0-9]+",
    "SIGNED_NUMBER": r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?",
    "UCASE_LETTER": "[A-Z]",
    "WORD": "[A-Za-z]+",
    "WS": r"[ \t\f\r\n]+",
    "WS_INLINE": r"[ \t]+",
}


class Unsupported(Exception):
    """A grammar that has no regular expression, or cannot be read. The message says why."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int


@dataclass(slots=True)
class _Grammar:
    """What names stand for, as Lark writes it, and as regular expressions where that is known."""

    rules: dict[str, list[_Token]] = field(default_factory=dict[str, list[_Token]])
    written: dict[str, str] = field(default_factory=dict[str, str])
    ignored: list[list[_Token]] = field(default_factory=list[list[_Token]])
    between: str = ""  # the regular expression of what is ignored

    def write(self, name: str, above: tuple[str, ...], line: int) -> str:
        """The regular expression of a rule or a terminal."""
        if name in above:
            raise Unsupported(
                f"rule '{name[:60]}' stands in itself (line {line}), and text inside of a call can "
                "only be held to grammars without such rules. Write it with '*' and '+', or up to "
                "some depth, or leave 'format' out"
            )
        if len(above) > _MAX_DEPTH:
            raise Unsupported(f"its rules are nested more than {_MAX_DEPTH} levels deep")
        if name not in self.written:
            if name not in self.rules:
                raise Unsupported(f"line {line} speaks of '{name[:60]}', which it does not define")
            # what is ignored stands between terminals, not in them
            gap = "" if name.isupper() else self.between
            self.written[name] = self.write_tokens(self.rules[name], (*above, name), gap)
        return self.written[name]

    def write_tokens(self, tokens: Sequence[_Token], above: tuple[str, ...], gap: str) -> str:
        """An expression of Lark; `gap` follows each terminal in it."""
        made: list[str] = []
        length = 0
        at = 0
        while at < len(tokens):
            token = tokens[at]
            if [t.text for t in tokens[at + 1 : at + 2]] == [".."]:
                piece = _write_range(tokens[at : at + 3]) + gap
                at += 2
            else:
                piece = self._write_token(token, above, gap)
            at += 1
            made.append(piece)
            length += len(piece)
            if length > MAX_CHARACTERS:
                raise Unsupported(f"written out it comes to more than {MAX_CHARACTERS} characters")
        return f"(?:{''.join(made)})"

    def _write_token(self, token: _Token, above: tuple[str, ...], gap: str) -> str:
        match token.kind:
            case "text":
                piece = _write_text(token)
            case "regex":
                piece = _write_regex(token)
            case "name":
                piece = self.write(token.text, above, token.line)
                gap = gap if token.text.isupper() else ""
            case "count":
                return _write_count(token)
            case "label":
                return ""
            case _ if token.text in _MARKS:
                return _MARKS[token.text]
            case _:
                raise Unsupported(f"line {token.line} has a '{token.text}' where none may be")
        return f"(?:{piece}{gap})" if gap else piece


def lark_to_regex(text: str) -> str:
    """What a text that `text` describes matches as a whole. Raises Unsupported."""
    grammar = _Grammar()
    for tokens in _statements(list(_tokenize(text))):
        _define(grammar, tokens)
    if "start" not in grammar.rules:
        raise Unsupported("it has no rule 'start'")
    ways = [grammar.write_tokens(tokens, (), "") for tokens in grammar.ignored]
    # terminals that were written for it hold no gaps, and so they may stay
    grammar.between = f"(?:{'|'.join(ways)})*" if ways else ""
    return grammar.between + grammar.write("start", (), 1)


def _tokenize(text: str) -> Iterator[_Token]:
    at, line = 0, 1
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            rest = text[at:].partition("\n")[0][:40]
            raise Unsupported(f"line {line} has what is not supported here: {rest!r}")
        if found.lastgroup is not None:
            yield _Token(found.lastgroup, found.group(), line)
        line += found.group().count("\n")
        at = found.end()


def _statements(tokens: Sequence[_Token]) -> Iterator[list[_Token]]:
    """Definitions and directives, which may go on over several lines."""
    made: list[_Token] = []
    for token in tokens:
        if token.kind in {"head", "directive"} and made:
            yield made
            made = []
        made.append(token)
    if made:
        yield made


def _define(grammar: _Grammar, tokens: list[_Token]) -> None:
    first, texts = tokens[0], [token.text for token in tokens]
    if first.text == "%import":
        label = texts.pop() if tokens[-1].kind == "label" else ""
        if len(texts) != 4 or texts[1] != "common" or texts[3] not in _LIBRARY:
            raise Unsupported(f"line {first.line} imports what is not known here: write it out")
        name = label.removeprefix("->").strip() or texts[3]
        grammar.written[name] = f"(?:{_LIBRARY[texts[3]]})"
    elif first.text == "%ignore":
        grammar.ignored.append(tokens[1:])
    elif first.kind == "head":
        _check_brackets(tokens)
        name = first.text.strip(" \t?!:").partition(".")[0]
        if name in grammar.rules:
            raise Unsupported(f"line {first.line} defines '{name[:60]}' again")
        grammar.rules[name] = tokens[1:]
    else:
        raise Unsupported(f"line {first.line} is no definition")


def _check_brackets(tokens: Sequence[_Token]) -> None:
    open_ones: list[str] = []
    for token in tokens:
        if token.text in {"(", "["}:
            open_ones.append({"(": ")", "[": "]"}[token.text])
        elif token.text in {")", "]"} and (not open_ones or open_ones.pop() != token.text):
            raise Unsupported(f"line {token.line} closes a bracket that is not open")
    if open_ones:
        raise Unsupported(f"line {tokens[0].line} leaves a bracket open")


def _write_text(token: _Token) -> str:
    is_open = token.text.endswith("i")
    spelled = "".join(map(_escape, _read(token.text.removesuffix("i"), token.line)))
    return f"(?i:{spelled})" if is_open else f"(?:{spelled})"


def _write_regex(token: _Token) -> str:
    pattern, _, flags = token.text[1:].rpartition("/")
    if set(flags) - set("imsu"):
        raise Unsupported(f"line {token.line} has flags that are not known here: '{flags}'")
    kept = "".join(sorted(set(flags) - set("mu")))  # they change nothing without anchors
    try:
        return f"(?{kept}:{whole(pattern)[1:-1]})"
    except ValueError as error:
        raise Unsupported(f"line {token.line} has a regular expression, and {error}") from None


def _write_range(tokens: Sequence[_Token]) -> str:
    ends = [_read(t.text, t.line) for t in tokens if t.kind == "text"]
    if len(ends) != 2 or any(len(end) != 1 for end in ends):
        raise Unsupported(f"line {tokens[0].line} has a range that is not of two characters")
    first, last = map(_escape, ends)
    return f"[{first}-{last}]"


def _write_count(token: _Token) -> str:
    if token.text.startswith("{"):
        return token.text.replace("{,", "{0,")
    least, _, most = token.text[1:].replace(" ", "").partition("..")
    return f"{{{least},{most or least}}}"


def _escape(char: str) -> str:
    return char if char.isalnum() or char in " _" else rf"\x{{{ord(char):x}}}"


def _read(literal: str, line: int) -> str:
    try:
        return str(json.loads(re.sub(r"(?<!\\)((?:\\\\)*)\\x", r"\1\\u00", literal)))
    except ValueError:
        raise Unsupported(f"line {line} has a text that cannot be read: {literal[:40]}") from None
