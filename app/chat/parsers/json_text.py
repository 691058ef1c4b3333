"""Reading JSON text as it is: its pieces are handed over while they come."""

import json
import re
from collections.abc import Callable
from typing import Any

from app.chat.parsers.scanner import Malformed, Scanner, Steps

MAX_DEPTH = 64
_IN_STRING = re.compile(r'[^"\\]+')
_CONTROL = re.compile(r"[\x00-\x1f]")
_IN_SCALAR = re.compile(r'[^\s,:{}\[\]"]+')
_BETWEEN = re.compile(r"[\s\w,:.+'-]+")
_CLOSING = {"}": "{", "]": "["}
_OPENING = {opens: closes for closes, opens in _CLOSING.items()}


def read_value(
    scan: Scanner, tell: Callable[[str], None], ends: tuple[str, ...] = ()
) -> Steps[None]:
    """Take one value. Raises Malformed where brackets do not match, or nothing begins.

    Whether it is JSON otherwise is for the whole text to tell. Where one of `ends` follows, which
    is not taken, the last brackets were forgotten: they are told. With `ends` not for text that is
    held.
    """
    open_brackets: list[str] = []
    while True:
        char = yield from scan.peek()
        if char == '"':
            yield from _read_string(scan, tell)
        elif char in {"{", "["}:
            open_brackets.append(char)
            if len(open_brackets) > MAX_DEPTH:
                raise Malformed
            scan.skip(1)
            tell(char)
        elif char in _CLOSING:
            if not open_brackets or open_brackets.pop() != _CLOSING[char]:
                raise Malformed
            scan.skip(1)
            tell(char)
        elif open_brackets:
            if run := scan.take_run(_BETWEEN):
                tell(run)
            else:
                yield from _check_forgotten(scan, ends)
                tell("".join(_OPENING[bracket] for bracket in reversed(open_brackets)))
                return
        elif not (yield from _read_scalar(scan, tell)):
            raise Malformed
        if not open_brackets:
            return


def _check_forgotten(scan: Scanner, ends: tuple[str, ...]) -> Steps[None]:
    """Raises Malformed where none of `ends` shows that brackets were forgotten."""
    if not (yield from scan.peek()) or not (ends and (yield from scan.looks_at(*ends))):
        raise Malformed


def read_parsed(scan: Scanner) -> Steps[Any]:
    """Take one value and parse it. Raises Malformed where it is no JSON."""
    pieces: list[str] = []
    yield from read_value(scan, pieces.append)
    return parse("".join(pieces))


def parse(text: str) -> Any:
    """The value of JSON text. Raises Malformed."""
    try:
        value: Any = json.loads(text)
        if isinstance(value, str):
            value.encode()  # a lone surrogate cannot be sent on
    except (ValueError, RecursionError) as error:
        raise Malformed from error
    return value


def _read_string(scan: Scanner, tell: Callable[[str], None]) -> Steps[None]:
    """Line breaks and their like, which some models write as they are, are told as JSON has
    them."""
    scan.skip(1)
    tell('"')
    while True:
        if run := scan.take_run(_IN_STRING):
            tell(_CONTROL.sub(_escape, run))
        char = yield from scan.peek()
        if not char:
            raise Malformed
        if char == '"':
            scan.skip(1)
            tell(char)
            return
        if char == "\\":
            scan.skip(1)
            escaped = yield from scan.peek()
            scan.skip(len(escaped))
            tell(char + escaped)


def _escape(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1]


def _read_scalar(scan: Scanner, tell: Callable[[str], None]) -> Steps[bool]:
    """A number or a word; False where there is none."""
    word = yield from scan.read_word(_IN_SCALAR)
    tell(word)
    return bool(word)
