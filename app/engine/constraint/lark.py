"""Grammars in Lark syntax: those of callers, checked, and those made of simpler constraints."""

import json
import re
from collections.abc import Iterable
from typing import Any

from app.engine.constraint.schema import check_multiples

_INLINE = re.compile(r"%json\s*")


def choice_to_lark(options: Iterable[str]) -> str:
    """One lexeme, so that any number of options costs no more than a regular expression."""
    spelled = " | ".join(json.dumps(option) for option in options)
    return f"start: CHOICE\nCHOICE: {spelled}"


def check_inline_schemas(text: str, source: str) -> None:
    """JSON schemas inside of a grammar have the bounds that others have.

    Raises InvalidConstraint.
    """
    decoder = json.JSONDecoder()
    for match in _INLINE.finditer(text):
        try:
            schema: Any = decoder.raw_decode(text, match.end())[0]
        except (ValueError, RecursionError):
            continue  # llguidance says what is wrong with it
        check_multiples(schema, source)
