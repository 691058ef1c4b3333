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

REFUSED_AT_CREATION: Mapping[str, str] = {
    "adapters": "Adapters stand in models.yaml.",
    "messages": "Send earlier messages with each request; their beginning is not computed twice.",
    "modelfile": "Send what it says: 'from' or 'files', 'system', 'parameters'.",
    "quantize": "Files are served as they are.",
}


def refuse_unsupported(
    body: Mapping[str, Any], place: str = "", table: Mapping[str, str] = REFUSED
) -> None:
    """Raises UnsupportedParameter for what is given and not empty."""
    for name, reason in table.items():
        if body.get(name):
            param = place + name
            raise UnsupportedParameter(f"'{param}' is not supported. {reason}", param=param)
