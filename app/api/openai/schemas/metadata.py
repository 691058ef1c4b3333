"""What callers attach to what is stored."""

from typing import Annotated, cast

from pydantic import BeforeValidator

MAX_PAIRS = 16
MAX_KEY = 64
MAX_VALUE = 512


def _check_metadata(value: object) -> object:
    """Before the pairs are looked at: each wrong one would be described."""
    if not isinstance(value, dict):
        return value
    pairs = cast("dict[str, object]", value)
    if len(pairs) > MAX_PAIRS:
        raise ValueError(f"at most {MAX_PAIRS} pairs are taken")
    for key, text in pairs.items():
        if len(key) > MAX_KEY:
            raise ValueError(f"a key has at most {MAX_KEY} characters")
        if not isinstance(text, str) or len(text) > MAX_VALUE:
            raise ValueError(f"the value of '{key}' is no text of at most {MAX_VALUE} characters")
    return pairs


Metadata = Annotated[dict[str, str], BeforeValidator(_check_metadata)]
