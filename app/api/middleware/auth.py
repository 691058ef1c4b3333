"""API keys: `Authorization: Bearer` or `x-api-key`, compared in constant time."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.context import context_of
from app.api.errors import error_response
from app.api.middleware.keys import KeyRing
from app.core.errors import InvalidApiKey


class AuthMiddleware:
    """Refuses requests without a known key, `open_paths` and CORS preflights excepted."""

    def __init__(self, app: ASGIApp, *, keys: KeyRing, open_paths: frozenset[str]) -> None:
        self._app = app
        self._keys = keys
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_exempt(scope):
            await self._app(scope, receive, send)
            return
        key = _key_in(Headers(scope=scope))
        found = self._keys.find(key) if key else None
        context = context_of(scope)
        if found is None:
            error = InvalidApiKey(_explain(key))
            context.error_code = error.code
            await error_response(error, scope)(scope, receive, send)
            return
        context.key_id, context.priority = found.id, found.priority
        await self._app(scope, receive, send)

    def _is_exempt(self, scope: Scope) -> bool:
        return (
            scope["type"] != "http"
            or self._keys.is_open
            or scope["method"] == "OPTIONS"
            or scope["path"] in self._open_paths
        )


def _key_in(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and (key := _read_text(token)):
        return key
    return _read_text(headers.get("x-api-key", ""))


def _read_text(value: str) -> str:
    """Headers are read as Latin-1, which is what some clients write; the others write UTF-8."""
    try:
        return value.encode("latin-1").decode().strip()
    except UnicodeDecodeError:
        return value.strip()


def _explain(key: str) -> str:
    if key:
        return "Incorrect API key provided."
    return "You did not provide an API key. Send it as 'Authorization: Bearer KEY'."
