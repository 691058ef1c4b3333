"""The outermost layer: a context for each request, and what is told about it afterwards."""

import re
from collections.abc import Sequence
from typing import Any, Protocol

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.context import RequestContext, put_context
from app.api.disconnect import ClientGone
from app.api.errors import error_response
from app.config.sources import shown_source
from app.core.errors import InternalError
from app.core.ids import digest_of, make_id
from app.telemetry.journal import Journal

CLIENT_GONE = 499
USER_HEADER = "x-openwebui-user-id"
UNMATCHED = "unmatched"
_SANE_ID = re.compile(r"[!-~]{1,128}")
_HEADER_SAFE = re.compile(r"[^A-Za-z0-9_.-]")
_MAX_IGNORED = 20
_MAX_NAME = 64
_MAX_MODEL = 128

log: Any = structlog.stdlib.get_logger("corral.http")


class HttpObserver(Protocol):
    def observe_http(self, route: str, method: str, status: int, seconds: float) -> None: ...


class RequestLogMiddleware:
    """Gives each request an id and a context, answers what nobody else answered, and writes one
    log line and one metric for each. Who only looks at `quiet_paths` stays out of the journal, and
    of the log unless it is told all."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: HttpObserver,
        journal: Journal,
        routes: Sequence[Route],
        quiet_paths: frozenset[str],
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._journal = journal
        self._routes = routes
        self._quiet_paths = quiet_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        context = RequestContext(request_id=_choose_id(headers), end_user=_find_user(headers))
        put_context(scope, context)
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _mark(message, context)
            await send(message)

        try:
            await self._app(scope, receive, send_marked)
        except ClientGone:
            status, context.outcome = CLIENT_GONE, "abort"
        except Exception:
            log.exception("request failed", request_id=context.request_id)
            context.error_code = context.outcome = InternalError.code
            if status:
                raise
            await _internal_error(scope)(scope, receive, send_marked)
        finally:
            self._tell(scope, context, status or CLIENT_GONE)

    def _tell(self, scope: Scope, context: RequestContext, status: int) -> None:
        route = self._find_route(scope)
        self._metrics.observe_http(route, _known(scope["method"]), status, context.elapsed)
        line = _line(scope["method"], route, status, context)
        if scope["path"] in self._quiet_paths and scope["method"] in {"GET", "HEAD"}:
            log.debug("request", **line)
            return
        log.info("request", **line)
        self._journal.add(line)

    def _find_route(self, scope: Scope) -> str:
        """By path, because what is refused on the way never meets the router."""
        for route in self._routes:
            if route.matches(scope)[0] != Match.NONE:
                return route.path
        return UNMATCHED


def _choose_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _SANE_ID.fullmatch(given) else make_id("req_")


def _find_user(headers: Headers) -> str | None:
    name = headers.get(USER_HEADER)
    return digest_of(name) if name else None


def _mark(message: Message, context: RequestContext) -> None:
    headers = MutableHeaders(scope=message)
    headers["x-request-id"] = context.request_id
    headers["openai-processing-ms"] = str(round(context.elapsed * 1000))
    if context.ignored:
        shown = [_HEADER_SAFE.sub("?", name) for name in _shorten(context.ignored)]
        headers["x-corral-ignored"] = ", ".join(shown)


def _shorten(names: Sequence[str]) -> list[str]:
    return [name[:_MAX_NAME] for name in names[:_MAX_IGNORED]]


def _internal_error(scope: Scope) -> Any:
    error = InternalError("The server had an error while processing the request.")
    return error_response(error, scope)


def _known(method: str) -> str:
    """Methods are a metric label: made-up ones count as one."""
    usual = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
    return method if method in usual else "OTHER"


def _line(method: str, route: str, status: int, context: RequestContext) -> dict[str, Any]:
    line: dict[str, Any] = {
        "id": context.request_id,
        "method": method,
        "route": route,
        "status": status,
        "seconds": round(context.elapsed, 4),
        "model": shown_source(context.model)[:_MAX_MODEL] if context.model else None,
        "key_id": context.key_id,
        "ignored": _shorten(context.ignored) or None,
        "error": context.error_code,
        "outcome": context.outcome or context.error_code,
    }
    if record := context.record:
        line |= {
            "model": record.model,
            "adapters": record.adapters or None,
            "priority": record.priority or None,
            "prompt_tokens": record.prompt_tokens,
            "cached_tokens": record.cached_tokens,
            "completion_tokens": record.completion_tokens,
            "accepted_tokens": record.accepted_tokens or None,
            "rejected_tokens": record.rejected_tokens or None,
            "queue_seconds": _rounded(record.queue_seconds),
            "ttft_seconds": _rounded(record.ttft_seconds),
            "tokens_per_second": _rounded(record.tokens_per_second),
            "outcome": context.outcome or record.outcome,
        }
    return {name: value for name, value in line.items() if value is not None}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
