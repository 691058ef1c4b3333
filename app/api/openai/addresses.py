"""Addresses of what is stored: nothing there has a NUL character, and PostgreSQL takes none."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from app.core.errors import BadRequest

Handler = Callable[[Request], Awaitable[Response]]


def refuse_nul(handler: Handler) -> Handler:
    """The handler, for addresses without NUL characters. Others raise BadRequest."""

    async def checked(request: Request) -> Response:
        for name, value in (*request.path_params.items(), *request.query_params.multi_items()):
            if "\0" in f"{name}{value}":
                raise BadRequest(f"'{name[:80]}' holds a NUL character.", param=name[:80])
        return await handler(request)

    return checked
