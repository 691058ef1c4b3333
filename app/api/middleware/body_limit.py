"""Bounding the size of request bodies, announced or counted."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.context import context_of
from app.api.errors import error_response
from app.core.errors import BodyTooLarge


class BodyLimitMiddleware:
    """`free_paths`: the beginning of paths whose bodies have no bound here."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, free_paths: str) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._free_paths = free_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(self._free_paths):
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and int(announced) > self._max_bytes:
            error = self._too_large()
            context_of(scope).error_code = error.code
            headers = {"connection": "close"}
            await error_response(error, scope, headers)(scope, receive, send)
            return
        await self._app(scope, self._counting(receive), send)

    def _counting(self, receive: Receive) -> Receive:
        total = 0

        async def count() -> Message:
            nonlocal total
            message = await receive()
            if message["type"] == "http.request":
                total += len(message.get("body", b""))
                if total > self._max_bytes:
                    raise self._too_large()
            return message

        return count

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"The request body is larger than {self._max_bytes} bytes.")
