"""Web pages of other sites may ask for answers, and change nothing."""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.context import context_of
from app.api.errors import error_response
from app.api.hosts import is_ours, is_same_origin
from app.core.errors import OriginRefused

_CHANGING = (
    "/admin/",
    "/api/blobs/",
    "/api/copy",
    "/api/create",
    "/api/delete",
    "/api/models/",
    "/api/pull",
)
_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})


class OriginMiddleware:
    """For servers that ask for no key: there, any page that a user opens could send requests.

    `origins` are those that LLM_CORS_ORIGINS names; `*` in it lets nobody change anything.
    """

    def __init__(self, app: ASGIApp, *, origins: Sequence[str], has_keys: bool) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._has_keys = has_keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._has_keys or self._is_allowed(scope):
            await self._app(scope, receive, send)
            return
        error = OriginRefused(
            "Pages of other sites may not change which models are here. Name the page's origin in "
            "LLM_CORS_ORIGINS, or set a key."
        )
        context_of(scope).error_code = error.code
        await error_response(error, scope)(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        path: str = scope["path"]
        if scope["method"] in _HARMLESS or not path.startswith(_CHANGING):
            return True
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is None or origin in self._origins:
            return True
        host = headers.get("host", "")
        return is_same_origin(origin, host) and is_ours(host, self._origins)
