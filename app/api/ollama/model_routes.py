"""Ollama's routes that tell of models."""

from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app import __version__
from app.api.body import decode_body
from app.api.context import context_of
from app.api.ollama.encode_models import IN_MEMORY, encode_card, encode_listed, encode_running
from app.api.ollama.schemas import NameBody, ShowBody
from app.api.schema import find_unknown, validate
from app.core.errors import BadRequest, UnsupportedOperation
from app.services.models import ModelService

API_VERSION = "0.13.0"
"""The version of Ollama whose API is spoken: clients compare it with what they need."""


@dataclass(frozen=True, slots=True)
class OllamaModelRoutes:
    models: ModelService
    max_json_depth: int

    def routes(self) -> list[Route]:
        return [
            Route("/api/tags", self.tags, methods=["GET"]),
            Route("/api/ps", self.running, methods=["GET"]),
            Route("/api/show", self.show, methods=["POST"]),
            Route("/api/version", self.version, methods=["GET"]),
            Route("/api/push", self.push, methods=["POST"]),
        ]

    async def tags(self, _request: Request) -> Response:
        return _json({"models": [encode_listed(info) for info in self.models.here()]})

    async def running(self, _request: Request) -> Response:
        found = [one for one in self.models.all() if one.state in IN_MEMORY and one.base is None]
        return _json({"models": [encode_running(info) for info in found]})

    async def show(self, request: Request) -> Response:
        def decode(body: dict[str, Any]) -> ShowBody:
            return validate(ShowBody, body)

        wire = await decode_body(request, decode, max_depth=self.max_json_depth, is_curl_taken=True)
        context = context_of(request)
        context.model = name_of(wire)
        context.ignored = tuple(sorted(find_unknown(wire)))
        info = self.models.get_here(context.model)
        return _json(encode_card(self.models.describe(info.id)))

    async def version(self, _request: Request) -> Response:
        return _json({"version": API_VERSION, "corral": __version__})

    async def push(self, _request: Request) -> Response:
        raise UnsupportedOperation("Models are not pushed anywhere from here.")


def name_of(wire: NameBody) -> str:
    """Raises BadRequest."""
    name = wire.model or wire.name
    if not name:
        raise BadRequest("'model' is required.", param="model")
    return name


def _json(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
