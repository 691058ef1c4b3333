"""What pages in a browser may do where no key is asked for.

Any page that a user opens can send requests to a server in reach of the browser, and with the CORS
default `*` read the answers. That is wanted for asking models. It is not wanted for what changes
which models are here, nor for anything that is kept: that is for pages of this server itself, and
of origins that LLM_CORS_ORIGINS names (`*` is no name). Which page asks is told by two headers that
no script can set:

- `Origin` stands in every request from another site, and in every one that changes something. It
  must be named, or be the origin that was asked.
- `Host` is the name under which the browser found this server. A site can have a name of its own
  lead here (DNS rebinding), and is the origin that was asked then. So the name must be ours: one
  that nobody can register, wherever the server listens. `mybox`, `mybox.local` and addresses are.

A page reads from its own origin without `Origin`, so where something is read that is kept, the name
alone decides. Clients that are no browsers send no `Origin`; they may call the server by any name,
except to read what is kept. Where keys are asked for, they decide: no page of another site has one.
"""

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
_KEPT = ("/v1/chat/completions", "/v1/conversations", "/v1/responses/")
_ASKING = frozenset({"/v1/chat/completions", "/v1/responses/input_tokens"})
"""What is posted there only asks."""
_READING = frozenset({"GET", "HEAD"})


class OriginMiddleware:
    """`origins` are those that LLM_CORS_ORIGINS names; `*` in it is none. Refused is 403."""

    def __init__(self, app: ASGIApp, *, origins: Sequence[str], has_keys: bool) -> None:
        self._app = app
        self._origins = frozenset(origins) - {"*"}
        self._has_keys = has_keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._has_keys or not _is_guarded(scope):
            await self._app(scope, receive, send)
            return
        if (problem := self._find_problem(scope)) is None:
            await self._app(scope, receive, send)
            return
        error = OriginRefused(f"{problem}; name the origin in LLM_CORS_ORIGINS, or set an API key.")
        context_of(scope).error_code = error.code
        await error_response(error, scope)(scope, receive, send)

    def _find_problem(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        origin, host = headers.get("origin"), headers.get("host", "")
        if origin in self._origins:
            return None
        if origin is not None and not is_same_origin(origin, host):
            return "Pages of other sites may not change models, nor see or change what is kept here"
        if origin is None and scope["method"] not in _READING:
            return None  # no browser
        if is_ours(host, self._origins):
            return None
        return f"The name '{host[:80]}' may lead here by the will of another site"


def _is_guarded(scope: Scope) -> bool:
    path, method = scope["path"], scope["method"]
    if method == "OPTIONS":
        return False
    if path.startswith(_KEPT):
        return not (method == "POST" and path in _ASKING)
    return method not in _READING and path.startswith(_CHANGING)
