"""Probes, metrics and the front page: for operators, open without a key, alive while draining."""

from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app import __version__
from app.api.middleware.drain import DrainGate
from app.services.ports import ModelPool


class Renderer(Protocol):
    def render(self) -> tuple[bytes, str]: ...


class StoreState(Protocol):
    @property
    def reason(self) -> str | None:
        """Why nothing can be stored; None where all is well, or nothing is to be."""
        ...


class FrontPage(Protocol):
    """The browser UI."""

    @property
    def is_built(self) -> bool: ...

    def page(self, request: Request) -> Response: ...


@dataclass(frozen=True, slots=True)
class OpsRoutes:
    pool: ModelPool
    metrics: Renderer
    gate: DrainGate
    store: StoreState
    site: FrontPage

    def routes(self) -> list[Route]:
        handlers = {
            "/": self.index,
            "/health": self.health,
            "/api/health": self.tell_health,
            "/livez": self.live,
            "/readyz": self.ready,
            "/startupz": self.startup,
            "/metrics": self.show_metrics,
        }
        return [Route(path, handler, methods=["GET"]) for path, handler in handlers.items()]

    async def index(self, request: Request) -> Response:
        """Browsers get the UI, everybody else where to go on."""
        if "text/html" in request.headers.get("accept", ""):
            return self.site.page(request)
        links = {"models": "/v1/models", "chat": "/v1/chat/completions", "metrics": "/metrics"}
        ui = "/ in a browser" if self.site.is_built else "not built: run `make ui`"
        answer = _json({"name": "corral", "version": __version__, "links": links, "ui": ui})
        answer.headers["vary"] = "accept"
        return answer

    def describe_state(self) -> str:
        """`ready`, `loading` or `draining`."""
        return self._not_ready() or "ready"

    async def health(self, _request: Request) -> Response:
        reason = self._not_ready()
        return _json({"status": reason or "ok"}, 503 if reason else 200)

    async def tell_health(self, _request: Request) -> Response:
        """As RustLLM says it."""
        reason = self._not_ready()
        if reason is None:
            return _json({"success": True, "data": "OK"})
        return _json({"success": False, "error": f"The server is {reason}."}, 503)

    async def live(self, _request: Request) -> Response:
        if self.pool.is_alive:
            return _json({"status": "ok"})
        return _json({"status": "failed", "reason": "an engine has stopped"}, 503)

    async def ready(self, _request: Request) -> Response:
        reason = self._not_ready()
        if reason is not None:
            return _json({"status": "not ready", "reason": reason}, 503)
        if self.store.reason is not None:  # chat goes on without it
            return _json({"status": "degraded", "reason": f"database: {self.store.reason}"})
        return _json({"status": "ok"})

    async def startup(self, _request: Request) -> Response:
        """Like readiness, but a drain does not undo a start."""
        if self.pool.is_ready or self.gate.is_closed:
            return _json({"status": "ok"})
        return _json({"status": "starting", "reason": "loading"}, 503)

    async def show_metrics(self, _request: Request) -> Response:
        body, content_type = self.metrics.render()
        return Response(body, headers={"content-type": content_type})

    def _not_ready(self) -> str | None:
        if self.gate.is_closed:
            return "draining"
        return None if self.pool.is_ready else "loading"


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")
