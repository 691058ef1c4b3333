"""Bodies against their schemas, after the parameters that are known and not offered."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from app.api import schema as shared
from app.api.openai.parameters import REFUSED
from app.core.errors import UnsupportedParameter

B = TypeVar("B", bound=BaseModel)


def validate(schema: type[B], body: dict[str, Any], refused: Mapping[str, str] = REFUSED) -> B:
    """Raises UnsupportedParameter for known parameters that are not offered, else BadRequest."""
    for name, reason in refused.items():
        if body.get(name) is not None:
            raise UnsupportedParameter(f"'{name}' is not supported. {reason}", param=name)
    return shared.validate(schema, body)
