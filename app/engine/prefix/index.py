"""What a directory of states holds when a server starts: headers only, checked and in order."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from app.engine.prefix import files
from app.engine.prefix.files import Damaged, Header

_ABANDONED_SECONDS = 600.0  # nobody writes one file for so long


@dataclass(frozen=True, slots=True)
class Scan:
    """`headers`: of the files that can be used, what others lean on first. `used`: when each was
    used last, by the identity of what it holds. `doomed`: names of files that were ours and serve
    nobody. `useless`: what is wrong with those that are not used."""

    headers: list[Header] = field(default_factory=list[Header])
    used: dict[bytes, float] = field(default_factory=dict[bytes, float])
    doomed: list[str] = field(default_factory=list[str])
    useless: dict[str, str] = field(default_factory=dict[str, str])


def scan(folder: Path) -> Scan:
    """Raises OSError when the folder itself cannot be read."""
    found = Scan()
    headers: list[Header] = []
    for entry in os.scandir(folder):
        try:
            last = entry.stat().st_mtime
            if not entry.name.endswith(files.UNFINISHED):
                header = files.read_header(Path(entry.path))
                headers.append(header)
                found.used[header.identity] = last
            elif time.time() - last > _ABANDONED_SECONDS:
                found.doomed.append(entry.name)
        except FileNotFoundError:  # another server has just thrown it out
            continue
        except (Damaged, OSError) as error:
            found.useless[entry.name] = str(error)
            if isinstance(error, Damaged) and error.is_ours:
                found.doomed.append(entry.name)
    known: dict[bytes, Header] = {}
    for header in sorted(headers, key=lambda header: header.start):
        if header.start and not _can_lean(header, known.get(header.base)):
            found.doomed.append(header.name)
            continue
        known[header.identity] = header
        found.headers.append(header)
    return found


def _can_lean(header: Header, base: Header | None) -> bool:
    if base is None or base.key != header.key:
        return False
    return base.start < header.start <= base.end and base.shortest <= header.start
