"""What people said is not shown to web pages of other sites.

Without keys a browser is let in wherever the page in it comes from, and `LLM_CORS_ORIGINS` lets
every page read by default. That is for asking models; what is stored is for pages of this server
itself, and of origins that are named.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from app.api.hosts import is_loopback, is_same_origin
from app.core.errors import BadRequest, OriginRefused

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class OriginGuard:
    """`is_open`: no key is asked for. `is_local`: the server listens on this machine only."""

    is_open: bool
    is_local: bool
    origins: Sequence[str]

    def wrap(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            self.check(request)
            _check_address(request)
            return await handler(request)

        return guarded

    def check(self, request: Request) -> None:
        """Raises OriginRefused."""
        if not self.is_open:
            return
        origin, host = request.headers.get("origin"), request.headers.get("host", "")
        if origin is not None and not (is_same_origin(origin, host) or origin in self.origins):
            raise OriginRefused(
                "Pages of other sites cannot read or change what is stored here; name their "
                "origin in LLM_CORS_ORIGINS, or set an API key."
            )
        # a name of somebody else's that leads here makes their page one of this site
        is_named = any(is_same_origin(named, host) for named in self.origins)
        if self.is_local and not (is_loopback(host) or is_named):
            raise OriginRefused(
                f"What is stored is not shown under the name '{host[:80]}'; name its origin in "
                "LLM_CORS_ORIGINS, or set an API key."
            )


def _check_address(request: Request) -> None:
    """Raises BadRequest. No database keeps NUL characters, and PostgreSQL takes none either."""
    for name, value in (*request.path_params.items(), *request.query_params.multi_items()):
        if "\0" in f"{name}{value}":
            raise BadRequest(f"'{name[:80]}' holds a NUL character.", param=name[:80])
