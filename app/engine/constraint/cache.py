"""Compiled grammars, kept by what was asked for, so that the same tools are not written again."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

import orjson

from app.core.requests import Constraint, JsonSchema
from app.engine.constraint.frame import Frame

MAX_BYTES = 256 * 1024 * 1024
MAX_GRAMMARS = 256

# The memory of a grammar cannot be asked for. It goes with the length of its text, and with the
# time that it took beyond what such a text takes.
_BYTES_PER_CHARACTER = 64
_SECONDS_PER_CHARACTER = 2e-6
_BYTES_PER_SECOND = 300_000_000


@dataclass(frozen=True, slots=True)
class Compiled:
    """A matcher at the start of its grammar, to be copied. `characters` are those of the grammar's
    text, `seconds` of processor time it took."""

    matcher: Any
    characters: int
    seconds: float

    @property
    def bytes(self) -> int:
        """About how much memory it takes."""
        unexplained = max(self.seconds - _SECONDS_PER_CHARACTER * self.characters, 0.0)
        return int(_BYTES_PER_CHARACTER * self.characters + _BYTES_PER_SECOND * unexplained)


class GrammarCache:
    """The grammars used last, bounded in number and bytes. Safe from any thread."""

    def __init__(self, max_bytes: int = MAX_BYTES, max_grammars: int = MAX_GRAMMARS) -> None:
        self._max_bytes = max_bytes
        self._max_grammars = max_grammars
        self._kept: OrderedDict[Hashable, Compiled] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable | None) -> Compiled | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def keep(self, key: Hashable | None, compiled: Compiled) -> None:
        """One without a key, or larger than all may be together, is not kept."""
        if key is None or compiled.bytes > self._max_bytes:
            return
        with self._lock:
            before = self._kept.pop(key, None)
            self._bytes += compiled.bytes - (before.bytes if before else 0)
            self._kept[key] = compiled
            while self._bytes > self._max_bytes or len(self._kept) > self._max_grammars:
                self._bytes -= self._kept.popitem(last=False)[1].bytes


def key_of(constraint: Constraint | None, frame: Frame) -> Hashable:
    """What two requests for one grammar have in common; None where that cannot be told.

    What faults are called by, and what of an answer a prompt has begun, is not part of it, but for
    the openers that are to be finished.
    """
    digest = hashlib.blake2b()
    try:
        digest.update(orjson.dumps(_spell(constraint)))
        calls = frame.calls
        if calls is None:
            return digest.digest(), frame
        for tool in calls.tools:
            told = [tool.name, tool.strict, tool.parameters, tool.grammar]
            digest.update(orjson.dumps(told))
    except TypeError:  # nested more deeply than can be spelled
        return None
    begun = tuple(calls.begun.items())
    calls = replace(calls, tools=(), prompt_end="", open_call="")
    return digest.digest(), replace(frame, calls=calls), begun


def _spell(constraint: Constraint | None) -> list[Any]:
    match constraint:
        case None:
            return []
        case JsonSchema(schema):
            return ["JsonSchema", schema, constraint.strict]
        case _:
            return [type(constraint).__name__, replace(constraint, source="")]
