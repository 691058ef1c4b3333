"""Columns of text, and sizes and times as people read them."""

import time
from collections.abc import Sequence

from app.cli.text import echo

_GAP = "   "
_AGES = ((86_400 * 365, "year"), (86_400 * 30, "month"), (86_400, "day"), (3600, "hour"))
_UNITS = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "KB"))


def show_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their heads; nothing is cut, for pipes and for eyes alike."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        echo(_GAP.join(cells).rstrip())


def write_size(size: float) -> str:
    """4368438272 as `4.4 GB`."""
    for unit, name in _UNITS:
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size:.0f} B"


def write_count(number: float | None) -> str:
    """7615616512 as `7.6B`."""
    if not number:
        return ""
    for unit, letter in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if number >= unit:
            return f"{number / unit:.1f}{letter}"
    return f"{number:.0f}"


def write_age(moment: float) -> str:
    """Unix seconds as `3 days ago`; empty for no moment."""
    if not moment:
        return ""
    seconds = time.time() - moment
    for unit, name in _AGES:
        if seconds >= unit:
            return f"{_several(seconds / unit, name)} ago"
    return f"{_several(seconds / 60, 'minute')} ago" if seconds >= 60 else "just now"


def write_wait(seconds: float) -> str:
    """Seconds from now as `in 4 minutes`."""
    for unit, name in (*_AGES, (60, "minute")):
        if seconds >= unit:
            return f"in {_several(seconds / unit, name)}"
    return f"in {_several(max(seconds, 0), 'second')}"


def _several(number: float, name: str) -> str:
    whole = int(number)
    return f"{whole} {name}" if whole == 1 else f"{whole} {name}s"
