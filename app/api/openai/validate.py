"""Bodies against their schemas: what is wrong is said with the field's path."""

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from app.api.openai.parameters import REFUSED
from app.api.openai.schemas.base import describe
from app.core.errors import BadRequest, UnsupportedParameter

B = TypeVar("B", bound=BaseModel)


def validate(schema: type[B], body: dict[str, Any]) -> B:
    """Raises UnsupportedParameter for known parameters that are not offered, else BadRequest."""
    for name, reason in REFUSED.items():
        if body.get(name) is not None:
            raise UnsupportedParameter(f"'{name}' is not supported. {reason}", param=name)
    given = {name: value for name, value in body.items() if value is not None}
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        raise _as_bad_request(error.errors(include_url=False)[0]) from None


def _as_bad_request(details: ErrorDetails) -> BadRequest:
    param = _spell_path(details["loc"])
    if details["type"] == "missing":
        return BadRequest(f"'{param}' is required.", param=param)
    problem = details["msg"].removeprefix("Value error, ")
    if param is None:  # fields that do not go together: the first one named is the one to blame
        return BadRequest(f"{problem}.", param=problem.partition("'")[2].partition("'")[0] or None)
    if details["type"].endswith("_type"):
        problem = f"{problem}, got {describe(details['input'])}"
    return BadRequest(f"'{param}': {problem[:500]}.", param=param)


def _spell_path(parts: Sequence[int | str]) -> str | None:
    """`messages`, 0, `content` as `messages[0].content`."""
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path[:200] or None
