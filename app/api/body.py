"""Request bodies: JSON objects, bounded before anything else looks at them."""

from typing import Any, cast

import orjson
from starlette.requests import Request

from app.core.errors import MalformedBody

_ESCAPED_NUL = b"\\u0000"


async def read_body(request: Request) -> bytes:
    """Raises MalformedBody, or BodyTooLarge from the middleware."""
    _check_content_type(request.headers.get("content-type", ""))
    return await request.body()


def parse_json(body: bytes, *, max_depth: int) -> dict[str, Any]:
    """The body as an object. Raises MalformedBody."""
    if not body.strip():
        raise MalformedBody("The request body is empty; a JSON object is expected.")
    try:
        value: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedBody(f"The request body is not valid JSON: {error}.") from None
    if not isinstance(value, dict):
        raise MalformedBody("The request body must be a JSON object.")
    _check_depth(value, max_depth)
    if _ESCAPED_NUL in body:
        _check_nul(value)
    return cast("dict[str, Any]", value)


def _check_content_type(header: str) -> None:
    kind = header.partition(";")[0].strip().lower()
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise MalformedBody(f"The content type is '{kind[:80]}'; send JSON as 'application/json'.")


def _check_depth(value: Any, max_depth: int) -> None:
    """Level by level, so that deep nesting costs no recursion."""
    level: list[Any] = [value]
    for _ in range(max_depth):
        level = [
            child
            for container in level
            for child in _children(container)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise MalformedBody(f"The request body is nested more than {max_depth} levels deep.")


def _check_nul(value: Any) -> None:
    level: list[Any] = [value]
    while level:
        upcoming: list[Any] = []
        for container in level:
            for child in [*container, *_children(container)]:
                if isinstance(child, (dict, list)):
                    upcoming.append(child)
                elif isinstance(child, str) and "\0" in child:
                    raise MalformedBody("The request body holds a NUL character.")
        level = upcoming


def _children(container: Any) -> list[Any]:
    if isinstance(container, dict):
        return list(cast("dict[str, Any]", container).values())
    return container
