"""`<think>...</think>` and Hermes tool calls: `<tool_call>{"name", "arguments"}</tool_call>`."""

from collections.abc import Callable

from app.chat.markers import THINK_CLOSE, THINK_OPEN
from app.chat.parsers.base import CallEnd, Part, Reasoning, Text
from app.chat.parsers.json_call import JsonCallReader, Malformed

CALL_OPEN, CALL_CLOSE = "<tool_call>", "</tool_call>"


class HermesParser:
    """Reasoning counts only at the start of an answer, calls only where the request has tools."""

    name = "hermes"

    def __init__(self, *, thinking: bool, tools: bool, starts_in_reasoning: bool = False) -> None:
        self._has_tools = tools
        self._held = ""
        self._read = 0
        self._end = 0
        self._skips_space = starts_in_reasoning
        self._had_call = False
        self._reader = JsonCallReader()
        self.malformed = 0
        self._mode: Callable[[list[Part]], bool] = self._content
        if starts_in_reasoning:
            self._mode = self._reasoning
        elif thinking:
            self._mode = self._start

    @property
    def is_reasoning(self) -> bool:
        return self._mode == self._reasoning

    def feed(self, text: str) -> list[Part]:
        self._held += text
        parts: list[Part] = []
        while self._mode(parts):
            pass
        return parts

    def finish(self) -> list[Part]:
        parts: list[Part] = []
        if self._mode == self._call:
            self._finish_call(parts)
        elif self.is_reasoning:
            self._emit(parts, Reasoning, len(self._held.rstrip()))
        elif self._held.strip() or not self._had_call:
            self._emit(parts, Text, len(self._held))
        self._end += len(self._held)
        self._held = ""
        return parts

    def _finish_call(self, parts: list[Part]) -> None:
        """A whole call needs no closing marker at the very end."""
        if self._reader.is_done:
            self._read = len(self._held)
            self._close(parts)
        else:
            self._give_up(parts)
            self._emit(parts, Text, len(self._held))

    def _start(self, _parts: list[Part]) -> bool:
        """Before the first word: a thinking block may open."""
        head = self._held.lstrip()
        if head.startswith(THINK_OPEN):
            self._drop(len(self._held) - len(head) + len(THINK_OPEN))
            self._mode, self._skips_space = self._reasoning, True
            return True
        if THINK_OPEN.startswith(head):
            return False
        self._mode = self._content
        return True

    def _reasoning(self, parts: list[Part]) -> bool:
        if not self._skip_space():
            return False
        at = self._held.find(THINK_CLOSE)
        if at < 0:
            self._emit(parts, Reasoning, _safe_length(self._held, THINK_CLOSE))
            return False
        self._emit(parts, Reasoning, len(self._held[:at].rstrip()))
        self._drop(self._held.index(THINK_CLOSE) + len(THINK_CLOSE))
        self._mode, self._skips_space = self._content, True
        return True

    def _content(self, parts: list[Part]) -> bool:
        if not self._skip_space():
            return False
        if not self._has_tools:
            self._emit(parts, Text, len(self._held))
            return False
        at = self._held.find(CALL_OPEN)
        if at < 0:
            self._emit(parts, Text, _safe_length(self._held, CALL_OPEN))
            return False
        self._emit(parts, Text, len(self._held[:at].rstrip()))
        self._reader, self._mode = JsonCallReader(), self._call
        self._read = self._held.index(CALL_OPEN) + len(CALL_OPEN)
        return True

    def _call(self, parts: list[Part]) -> bool:
        """`_held` keeps the call from its marker on, until its start was told."""
        while self._read < len(self._held):
            if self._reader.is_done:
                rest = self._held[self._read :]
                if rest.startswith(CALL_CLOSE):
                    self._read += len(CALL_CLOSE)
                    self._close(parts)
                    return True
                if CALL_CLOSE.startswith(rest):
                    break
            try:
                self._reader.feed(self._held[self._read])
            except Malformed:
                self._give_up(parts)
                return True
            self._read += 1
        parts.extend(self._reader.take())
        if self._reader.is_started:
            self._drop(self._read)
            self._read = 0
        return False

    def _close(self, parts: list[Part]) -> None:
        ended = self._reader.end()
        parts.extend(ended)
        self.malformed += any(isinstance(part, CallEnd) and not part.is_whole for part in ended)
        self._drop(self._read)
        self._mode, self._skips_space, self._had_call = self._content, True, True

    def _give_up(self, parts: list[Part]) -> None:
        """Not a call after all: what was told stays, the rest is text."""
        self.malformed += 1
        parts.extend(self._reader.take())
        if self._reader.is_started:
            parts.append(CallEnd(is_whole=False))
            self._drop(self._read)
            self._had_call = True
        else:
            self._emit(parts, Text, self._read)
        self._read = 0
        self._mode = self._content

    def _skip_space(self) -> bool:
        """False while nothing but skipped white space has come."""
        if self._skips_space:
            self._drop(len(self._held) - len(self._held.lstrip()))
            self._skips_space = not self._held
        return bool(self._held)

    def _emit(self, parts: list[Part], kind: type[Text] | type[Reasoning], length: int) -> None:
        if length > 0:
            text = self._held[:length]
            self._drop(length)
            parts.append(kind(text, self._end))

    def _drop(self, length: int) -> None:
        self._held = self._held[length:]
        self._end += length


def _safe_length(text: str, marker: str) -> int:
    """How much of `text` is certainly before `marker`, and before the white space ahead of it."""
    end = len(text)
    for size in range(min(len(marker) - 1, len(text)), 0, -1):
        if marker.startswith(text[-size:]):
            end -= size
            break
    return len(text[:end].rstrip())
