"""What the doctor finds."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A fact about a topic, in a line, and what to do where it is not as it should be."""

    level: Level
    topic: str
    text: str
    fix: str | None = None


def ok(topic: str, text: str) -> Finding:
    return Finding("ok", topic, text)


def warn(topic: str, text: str, fix: str) -> Finding:
    """Something works worse than it could, or surprises."""
    return Finding("warn", topic, text, fix)


def fail(topic: str, text: str, fix: str) -> Finding:
    """Something does not work."""
    return Finding("fail", topic, text, fix)
