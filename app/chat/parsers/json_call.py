"""Reading `{"name": ..., "arguments": {...}}` character by character."""

import json
from collections.abc import Callable
from typing import Any

from app.chat.parsers.base import CallArguments, CallEnd, CallStart, Part

MAX_DEPTH = 64
_SPACE = " \t\r\n"
_CLOSING = {"}": "{", "]": "["}
_NAME_KEYS = ("name",)
_ARGUMENT_KEYS = ("arguments", "parameters")


class Malformed(Exception):
    """The text is not a call; the character that shows it was not consumed."""


class JsonCallReader:
    """Tells of one call while its JSON text arrives.

    The start is told once the name is known, then the arguments' text as it comes. Arguments that
    stand before the name, or in a JSON string, are told when they are whole.
    """

    def __init__(self) -> None:
        self.is_started = False
        self.is_done = False
        self._step: Callable[[str], None] = self._before_object
        self._parts: list[Part] = []
        self._key = ""
        self._value: list[str] = []
        self._stack: list[str] = []
        self._is_string = False
        self._is_escaped = False
        self._name: str | None = None
        self._arguments: str | None = None
        self._told: list[str] = []

    def feed(self, char: str) -> None:
        """Read one character. Raises Malformed."""
        self._step(char)

    def take(self) -> list[Part]:
        """The parts since the last call; neighbouring pieces of arguments come as one."""
        self._tell_pending()
        parts, self._parts = self._parts, []
        return parts

    def end(self) -> list[Part]:
        """The closing marker was read."""
        parts = self.take()
        if self._arguments is None:
            parts.append(CallArguments("{}"))
            return [*parts, CallEnd()]
        return [*parts, CallEnd(is_whole=_is_json(self._arguments))]

    def _before_object(self, char: str) -> None:
        if char == "{":
            self._step = self._before_key
        elif char not in _SPACE:
            raise Malformed

    def _before_key(self, char: str) -> None:
        if char == '"':
            self._value = [char]
            self._is_string, self._step = True, self._in_key
        elif char == "}":
            self._finish_object()
        elif char not in _SPACE:
            raise Malformed

    def _in_key(self, char: str) -> None:
        self._value.append(char)
        if self._closes_string(char):
            self._key = str(_parse("".join(self._value)))
            self._step = self._before_colon

    def _before_colon(self, char: str) -> None:
        if char == ":":
            self._step = self._before_value
        elif char not in _SPACE:
            raise Malformed

    def _before_value(self, char: str) -> None:
        if char in _SPACE:
            return
        if char in ",:}]":
            raise Malformed
        self._value, self._stack, self._is_string = [], [], False
        self._step = self._in_value
        self._in_value(char)

    def _in_value(self, char: str) -> None:
        if self._is_string:
            self._keep(char)
            if self._closes_string(char) and not self._stack:
                self._finish_value()
            return
        if not self._stack and self._value and char in ",}" + _SPACE:
            self._finish_value()
            self._step(char)
            return
        if char == '"':
            self._is_string = True
        elif char in "{[":
            self._stack.append(char)
            if len(self._stack) > MAX_DEPTH:
                raise Malformed
        elif char in _CLOSING:
            if not self._stack or self._stack.pop() != _CLOSING[char]:
                raise Malformed
            self._keep(char)
            if not self._stack:
                self._finish_value()
            return
        self._keep(char)

    def _after_value(self, char: str) -> None:
        if char == ",":
            self._step = self._before_key
        elif char == "}":
            self._finish_object()
        elif char not in _SPACE:
            raise Malformed

    def _after_object(self, char: str) -> None:
        if char not in _SPACE:
            raise Malformed

    def _closes_string(self, char: str) -> bool:
        if self._is_escaped:
            self._is_escaped = False
        elif char == "\\":
            self._is_escaped = True
        elif char == '"':
            self._is_string = False
            return True
        return False

    def _keep(self, char: str) -> None:
        self._value.append(char)
        if self.is_started and self._is_live():
            self._told.append(char)

    def _is_live(self) -> bool:
        """The value being read is the arguments object, told as it comes."""
        return self._key in _ARGUMENT_KEYS and self._arguments is None and self._value[0] == "{"

    def _tell_pending(self) -> None:
        if self._told:
            self._parts.append(CallArguments("".join(self._told)))
            self._told = []

    def _finish_value(self) -> None:
        text = "".join(self._value)
        was_live = self.is_started and self._is_live()
        self._step = self._after_value
        if self._key in _NAME_KEYS and self._name is None:
            self._start(_parse(text))
        elif self._key in _ARGUMENT_KEYS and self._arguments is None:
            self._arguments = _arguments_text(text)
            if self.is_started and not was_live:
                self._parts.append(CallArguments(self._arguments))

    def _start(self, name: Any) -> None:
        if not isinstance(name, str) or not name:
            raise Malformed
        self._name, self.is_started = name, True
        self._parts.append(CallStart(name))
        if self._arguments is not None:
            self._parts.append(CallArguments(self._arguments))

    def _finish_object(self) -> None:
        if not self.is_started:
            raise Malformed
        self.is_done = True
        self._step = self._after_object


def _arguments_text(value: str) -> str:
    """The object's text, also where a model wrote it as a JSON string or as null."""
    if value.startswith('"'):
        return str(_parse(value)) or "{}"
    return "{}" if value == "null" else value


def _parse(text: str) -> Any:
    try:
        value: Any = json.loads(text)
        if isinstance(value, str):
            value.encode()  # a lone surrogate cannot be sent on
    except (ValueError, RecursionError) as error:
        raise Malformed from error
    return value


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
