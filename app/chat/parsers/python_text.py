"""Reading Python literals and telling them as JSON text while they come."""

import json
import re
from collections.abc import Callable
from contextlib import suppress

from app.chat.parsers.json_text import MAX_DEPTH
from app.chat.parsers.scanner import SPACE, Malformed, Scanner, Steps

_QUOTES = ('"""', "'''", '"', "'")
_AFTER_STRING = frozenset({"", ",", ")", "]", "}", ":"})
_IN_STRING = re.compile(r"""[^"'\\]+""")
_IN_WORD = re.compile(r"""[^\s,:=()\[\]{}"']+""")
_CLOSING = {"[": "]", "(": ")", "{": "}"}
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORDS = {
    "True": "true",
    "False": "false",
    "None": "null",
    "true": "true",
    "false": "false",
    "null": "null",
}
_ESCAPES = {
    **dict(zip("abfnrtv0", "\a\b\f\n\r\t\v\0", strict=True)),
    **{char: char for char in "\\'\"/"},
    "\n": "",  # a line that goes on
}
_HEX_DIGITS = {"x": 2, "u": 4, "U": 8}
_HEX = frozenset("0123456789abcdefABCDEF")

Tell = Callable[[str], None]


def read_value(scan: Scanner, tell: Tell, depth: int = 0) -> Steps[None]:
    """Take one literal; JSON's own are literals too. Raises Malformed."""
    if depth > MAX_DEPTH:
        raise Malformed
    if quote := (yield from scan.take_any(_QUOTES)):
        yield from _read_string(scan, tell, quote)
    elif bracket := (yield from scan.take_any(("[", "(", "{"))):
        yield from _read_items(scan, tell, bracket, depth)
    else:
        tell(_to_json((yield from scan.read_word(_IN_WORD))))


def _read_items(scan: Scanner, tell: Tell, bracket: str, depth: int) -> Steps[None]:
    """What stands in a list, a tuple or a dictionary, up to and with its end."""
    is_mapping, first = (yield from _read_first(scan)) if bracket == "{" else (False, "")
    tell("{" if is_mapping else "[")
    separator = ""
    while True:
        yield from scan.skip_space()
        if not first and (yield from scan.try_take(_CLOSING[bracket])):
            break
        tell(separator)
        if is_mapping:
            yield from _read_key(scan, tell, first)
        if is_mapping or not first:
            yield from read_value(scan, tell, depth + 1)
        else:
            tell(first)
        first = ""
        yield from scan.skip_space()
        if (yield from scan.peek()) != _CLOSING[bracket]:
            yield from scan.take(",")
        separator = ", "
    tell("}" if is_mapping else "]")


def _read_first(scan: Scanner) -> Steps[tuple[bool, str]]:
    """After a brace: whether it opens a dictionary, not a set, and what was read to see that: a
    first key, or the first value."""
    yield from scan.skip_space()
    char = yield from scan.peek()
    if char in _CLOSING:
        return False, ""
    if char == "}":
        return True, ""
    first = yield from _read_scalar(scan)
    yield from scan.skip_space()
    return (yield from scan.peek()) == ":", first


def _read_scalar(scan: Scanner) -> Steps[str]:
    """A string or a word, as JSON."""
    quote = yield from scan.take_any(_QUOTES)
    if not quote:
        return _to_json((yield from scan.read_word(_IN_WORD)))
    pieces: list[str] = []
    yield from _read_string(scan, pieces.append, quote)
    return "".join(pieces)


def _read_key(scan: Scanner, tell: Tell, read_before: str) -> Steps[None]:
    """JSON wants strings for keys. The first was `read_before`."""
    key = read_before or (yield from _read_scalar(scan))
    tell(key if key.startswith('"') else json.dumps(key))
    yield from scan.skip_space()
    yield from scan.take(":")
    yield from scan.skip_space()
    tell(": ")


def _read_string(scan: Scanner, tell: Tell, quote: str) -> Steps[None]:
    """A quote that nothing follows that may follow a string belongs to it: templates write strings
    into quotes as they are, and so do models."""
    tell('"')
    while True:
        if run := scan.take_run(_IN_STRING):
            tell(_escape(run))
        char = yield from scan.peek()
        if not char:
            raise Malformed
        if char == "\\":
            scan.skip(1)
            tell((yield from _read_escape(scan)))
        elif (yield from scan.try_take(quote)):
            after = "" if len(quote) > 1 else (yield from _read_space(scan))
            if len(quote) > 1 or (yield from scan.peek()) in _AFTER_STRING:
                break
            tell(_escape(quote + after))
        else:
            scan.skip(1)
            tell(_escape(char))
    tell('"')


def _read_space(scan: Scanner) -> Steps[str]:
    space = ""
    while (char := (yield from scan.peek())) and char in SPACE:
        scan.skip(1)
        space += char
    return space


def _read_escape(scan: Scanner) -> Steps[str]:
    """What stands after a backslash; Python keeps one that means nothing."""
    char = yield from scan.peek()
    scan.skip(len(char))
    if char in _ESCAPES:
        return _escape(_ESCAPES[char])
    digits = ""
    while len(digits) < _HEX_DIGITS.get(char, 0):
        digit = yield from scan.peek()
        if digit not in _HEX:
            return _escape(f"\\{char}{digits}")
        scan.skip(1)
        digits += digit
    code = int(digits, 16) if digits else -1
    if 0 <= code <= 0x10FFFF:
        return json.dumps(chr(code))[1:-1]  # halves of a pair stay two escapes
    return _escape(f"\\{char}{digits}")


def _escape(text: str) -> str:
    """Character by character, so that the pieces of a string can be escaped one by one."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _to_json(word: str) -> str:
    """A word that means nothing to Python is a string whose quotes were forgotten."""
    if not word:
        raise Malformed
    if word in _WORDS or _NUMBER.fullmatch(word):
        return _WORDS.get(word, word)
    for base in (0, 10):  # Python itself takes no leading zeros
        with suppress(ValueError):
            return json.dumps(int(word, base))
    with suppress(ValueError):
        return json.dumps(float(word), allow_nan=False)
    return json.dumps(word, ensure_ascii=False)
