"""Operators' routes for the models of a running server: what is in memory, and what is not."""

from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.api.admin.encode import encode_model, encode_models
from app.api.admin.schemas import LoadBody
from app.api.body import decode_body
from app.api.context import context_of
from app.api.disconnect import run_while_connected
from app.api.schema import find_unknown, validate
from app.services.models import ModelService
from app.services.storage import StorageService


@dataclass(frozen=True, slots=True)
class AdminModelRoutes:
    models: ModelService
    storage: StorageService
    max_loaded_models: int
    max_json_depth: int

    def routes(self) -> list[Route]:
        return [
            Route("/admin/models", self.all, methods=["GET"]),
            Route("/admin/models/{name:path}/load", self.load, methods=["POST"]),
            Route("/admin/models/{name:path}/unload", self.unload, methods=["POST"]),
            Route("/admin/models/{name:path}", self.one, methods=["GET"]),
            Route("/admin/models/{name:path}", self.delete, methods=["DELETE"]),
            Route("/admin/reload", self.reload, methods=["POST"]),
        ]

    async def all(self, _request: Request) -> Response:
        memory = self.models.memory()
        return _json(encode_models(self.models.all(), memory, self.max_loaded_models))

    async def one(self, request: Request) -> Response:
        return _json(encode_model(self.models.get(_name_in(request))))

    async def load(self, request: Request) -> Response:
        def decode(body: dict[str, Any]) -> LoadBody:
            return validate(LoadBody, body)

        wire = await decode_body(request, decode, max_depth=self.max_json_depth, is_optional=True)
        context_of(request).ignored = tuple(sorted(find_unknown(wire)))
        work = self.models.load(_name_in(request), wire.keep_alive)
        return _json(encode_model(await run_while_connected(request, work)))

    async def unload(self, request: Request) -> Response:
        name = _name_in(request)
        await self.models.unload(name)
        return _json(encode_model(self.models.get(name)))

    async def delete(self, request: Request) -> Response:
        """The model's files, for good; see `StorageService.delete`."""
        name = _name_in(request)
        await self.storage.delete(name)
        return _json({"id": name, "deleted": True})

    async def reload(self, _request: Request) -> Response:
        changes = await self.storage.reload()
        return _json(
            {
                "added": list(changes.added),
                "removed": list(changes.removed),
                "changed": list(changes.changed),
            }
        )


def _name_in(request: Request) -> str:
    name = context_of(request).model = str(request.path_params["name"])
    return name


def _json(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
