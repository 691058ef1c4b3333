"""Ollama's fields that are not offered, and why. docs/compatibility.md repeats this table; a test
compares them."""

from collections.abc import Mapping
from typing import Any

from app.core.errors import UnsupportedParameter

REFUSED: Mapping[str, str] = {
    "images": "Models here read text only.",
    "context": "Send the conversation to /api/chat instead; its beginning is not computed twice.",
    "template": "A model's template is chosen in models.yaml.",
}


def refuse_unsupported(body: Mapping[str, Any], place: str = "") -> None:
    """Raises UnsupportedParameter for what is given and not empty."""
    for name, reason in REFUSED.items():
        if body.get(name):
            param = place + name
            raise UnsupportedParameter(f"'{param}' is not supported. {reason}", param=param)
