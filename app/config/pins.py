"""Writes keys into `models.yaml` and leaves every other character of it as it is."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from app.config.positions import Document, read_document
from app.core.errors import ConfigurationError

Place = tuple[int | str, ...]
Pins = Mapping[Place, Mapping[str, str | int]]
"""The path of keys and indices to a mapping, and what it shall say."""

_Change = tuple[int, int, str]


def write_pins(path: Path, pins: Pins) -> None:
    """Set keys of mappings that have a `source`: new ones go below it.

    The file is replaced at once. Raises ConfigurationError where its form does not allow that.
    """
    real = path.resolve()
    text = real.read_text(encoding="utf-8")
    document = read_document(real)
    changes = sorted(
        change for place, keys in pins.items() for change in _changes(document, text, place, keys)
    )
    for start, end, said in reversed(changes):
        text = text[:start] + said + text[end:]
    written = real.with_name(f".{real.name}.new")
    try:
        written.write_text(text, encoding="utf-8")
        shutil.copymode(real, written)
        _check(read_document(written), pins, document, str(path))
        written.replace(real)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        written.unlink(missing_ok=True)


def _changes(
    document: Document, text: str, place: Place, keys: Mapping[str, str | int]
) -> Iterator[_Change]:
    nodes = {key.value: (key, value) for key, value in document.node(place).value}
    source_key, source = nodes.get("source", (None, None))
    if source is None or source.style in {"|", ">"}:  # merged from elsewhere, or over several lines
        return
    added: list[str] = []
    for key, value in keys.items():
        said = json.dumps(value)
        if key in nodes:
            old = nodes[key][1]
            yield old.start_mark.index, old.end_mark.index, said
        else:
            added.append(f"{key}: {said}")
    if not added:
        return
    end: int = source.end_mark.index
    if document.node(place).flow_style:
        yield end, end, "".join(f", {line}" for line in added)
        return
    line_end = text.find("\n", end)
    line_end = len(text) if line_end < 0 else line_end
    indent = " " * int(source_key.start_mark.column)
    yield line_end, line_end, "".join(f"\n{indent}{line}" for line in added)


def _check(found: Document, pins: Pins, before: Document, name: str) -> None:
    """Whether the file says what it should, and nothing else has changed: aliases, merged keys and
    text over several lines can be in the way, and nothing is guessed."""
    expected: Any = before.value
    for place, keys in pins.items():
        mapping = expected
        for part in place:
            mapping = mapping[part]
        mapping.update(keys)
    if found.value != expected:
        said = "; ".join(
            f"{'.'.join(map(str, place))}: {json.dumps(dict(keys))}" for place, keys in pins.items()
        )
        raise ConfigurationError(f"{name}: cannot be edited as it is written; add yourself: {said}")
