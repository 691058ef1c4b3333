"""Request bodies: JSON objects, bounded before anything else looks at them."""

import asyncio
from collections.abc import Callable, Collection
from typing import Any, TypeVar, cast

import orjson
from starlette.requests import Request

from app.api.context import context_of
from app.core.errors import MalformedBody

_ESCAPED_NUL = b"\\u0000"
_FORM = "application/x-www-form-urlencoded"


INLINE_BYTES = 64 * 1024
"""Larger bodies are read in a thread: this much takes up to five milliseconds, a full one may take
a second."""

T = TypeVar("T")


async def decode_body(
    request: Request,
    decode: Callable[[dict[str, Any]], T],
    *,
    max_depth: int,
    is_curl_taken: bool = False,
    is_optional: bool = False,
) -> T:
    """What `decode` makes of the body; the model it names is noted for the log.

    `is_curl_taken`: JSON may be called a form, as `curl -d` calls it. Browsers may call it so too,
    and then ask nobody whether another site may send it: theirs is refused. `is_optional`: no body
    is an object without anything in it.
    Raises MalformedBody, or BodyTooLarge from the middleware.
    """
    is_form = request.headers.get("content-type") == _FORM and "origin" not in request.headers
    if not (is_curl_taken and is_form):
        _check_content_type(request.headers.get("content-type", ""))
    data, context = await request.body(), context_of(request)

    def read() -> T:
        is_missing = is_optional and not data.strip()
        body = {} if is_missing else parse_json(data, max_depth=max_depth)
        model = body.get("model")
        context.model = model if isinstance(model, str) else None
        return decode(body)

    return read() if len(data) <= INLINE_BYTES else await asyncio.to_thread(read)


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
        level = [child for container in level for child in _containers_in(container)]
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


def _containers_in(container: Any) -> list[Any]:
    """By their very types, which is faster; parsed JSON has no others."""
    return [v for v in _children(container) if type(v) is dict or type(v) is list]


def _children(container: Any) -> Collection[Any]:
    if isinstance(container, dict):
        return cast("dict[str, Any]", container).values()
    return container
