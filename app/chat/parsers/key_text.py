"""Names of members that stand in markup as they are."""

import re
from collections.abc import Iterable

from app.chat.lark import Unwritable
from app.chat.parsers.scanner import Scanner, Steps
from app.chat.parsers.schema import Schema


def take_name(
    scan: Scanner, known: Iterable[str], end: str, pattern: re.Pattern[str]
) -> Steps[str]:
    """Take a name, but not the `end` that follows it. Of those that are `known`, some may look like
    markup; all others are made of characters that `pattern` allows, without white space around."""
    odd = [name for name in known if _is_odd(name, pattern)]
    for name in sorted(odd, key=len, reverse=True):
        if (yield from scan.try_take(name + end)):
            scan.skip(-len(end))
            return name
    return (yield from scan.read_word(pattern)).strip()


def check_names(schema: Schema, end: str, pattern: re.Pattern[str]) -> None:
    """Raises Unwritable where one of the names that a schema knows would be read as another."""
    names = schema.property_names
    for odd in (name for name in names if _is_odd(name, pattern)):
        for name in names:
            if name != odd and f"{odd}{end}".startswith(f"{name}{end}"):
                raise Unwritable(f"its members '{name[:80]}' and '{odd[:80]}' look alike")


def _is_odd(name: str, pattern: re.Pattern[str]) -> bool:
    return pattern.fullmatch(name) is None or name != name.strip()
