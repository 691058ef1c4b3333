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

_IN_MANIFEST = "What is said of a model stands in models.yaml."

REFUSED_AT_CREATION: Mapping[str, str] = {
    "files": "Put the file into the models directory; 'modelpath' or 'from' then names it.",
    "adapters": _IN_MANIFEST,
    "template": _IN_MANIFEST,
    "system": _IN_MANIFEST,
    "parameters": _IN_MANIFEST,
    "messages": _IN_MANIFEST,
    "license": _IN_MANIFEST,
    "modelfile": _IN_MANIFEST,
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
