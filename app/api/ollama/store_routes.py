"""The models on disk: Ollama's routes for them, RustLLM's (`/api/models`) and rustllama's
(`/api/list`)."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.api.body import decode_body
from app.api.context import context_of
from app.api.errors import plain_error_body
from app.api.ollama.decode_create import decode_changes
from app.api.ollama.encode import LINES_TYPE, encode_line, encode_time
from app.api.ollama.model_routes import name_of
from app.api.ollama.refused import REFUSED_AT_CREATION, refuse_unsupported
from app.api.ollama.schemas import CopyBody, CreateBody, NameBody
from app.api.schema import Body, find_unknown, validate
from app.core.errors import BadRequest
from app.core.models import ModelInfo
from app.services.models import ModelService
from app.services.storage import StorageService

_SUFFIX = ".gguf"

B = TypeVar("B", bound=Body)


@dataclass(frozen=True, slots=True)
class StoreRoutes:
    models: ModelService
    storage: StorageService
    max_json_depth: int

    def routes(self) -> list[Route]:
        return [
            Route("/api/models", self.all, methods=["GET"]),
            Route("/api/models/{name:path}", self.one, methods=["GET"]),
            Route("/api/models/{name:path}", self.delete_one, methods=["DELETE"]),
            Route("/api/list", self.list_files, methods=["GET"]),
            Route("/api/delete", self.delete, methods=["DELETE"]),
            Route("/api/copy", self.copy, methods=["POST"]),
            Route("/api/create", self.create, methods=["POST"]),
        ]

    async def all(self, _request: Request) -> Response:
        return succeed({"models": [_encode_model(info) for info in self.models.here()]})

    async def one(self, request: Request) -> Response:
        return succeed(_encode_model(self.models.get_here(name_in(request))))

    async def list_files(self, _request: Request) -> Response:
        cards = [self.models.describe(info.id) for info in self.models.here()]
        rows = [
            {
                "name": card.info.id,
                "modified_at": _encode_date(card.info),
                "format": "gguf",
                "path": str(card.path),
            }
            for card in cards
        ]
        return Response(orjson.dumps({"models": rows}), media_type="application/json")

    async def delete_one(self, request: Request) -> Response:
        name = name_in(request)
        context_of(request).model = name
        await self.storage.delete(name)
        return succeed(f"Model {name} deleted successfully")

    async def delete(self, request: Request) -> Response:
        wire = await self._read(request, NameBody)
        name = context_of(request).model = name_of(wire)
        await self.storage.delete(name)
        return Response()

    async def copy(self, request: Request) -> Response:
        wire = await self._read(request, CopyBody)
        context_of(request).model = wire.source
        await self.storage.copy(wire.source, wire.destination)
        return Response()

    async def create(self, request: Request) -> Response:
        wire = await self._read(request, CreateBody)
        context = context_of(request)
        name = context.model = name_of(wire)
        if wire.modelpath:
            return await self._create_from_file(request, name, wire.modelpath)
        changes, ignored = decode_changes(wire)
        context.ignored = (*context.ignored, *ignored)
        if wire.files:
            await self.storage.create_from_blobs(wire.files, name, changes)
        elif wire.from_:
            context.model = wire.from_
            await self.storage.create_from(wire.from_, name, changes)
        else:
            raise BadRequest("'from', 'files' or 'modelpath' is required.", param="from")
        told = encode_line({"status": "success"})
        return Response(told, media_type=LINES_TYPE if wire.stream else "application/json")

    async def _create_from_file(self, request: Request, name: str, place: str) -> Response:
        """rustllama's answers say how it went in `status`, also where it went wrong."""
        try:
            await self.storage.create(name, place)
        except BadRequest as error:
            context_of(request).error_code = error.code
            told = {"status": "failed to create model", **orjson.loads(plain_error_body(error))}
            return Response(orjson.dumps(told), 400, media_type="application/json")
        return Response(orjson.dumps({"status": "success"}), media_type="application/json")

    async def _read(self, request: Request, schema: type[B]) -> B:
        def decode(body: dict[str, Any]) -> B:
            if schema is CreateBody:
                refuse_unsupported(body, table=REFUSED_AT_CREATION)
            return validate(schema, body)

        wire = await decode_body(request, decode, max_depth=self.max_json_depth, is_curl_taken=True)
        context_of(request).ignored = tuple(sorted(find_unknown(wire)))
        return wire


def name_in(request: Request) -> str:
    """The model that the path names; RustLLM writes the ending of its file too."""
    return str(request.path_params["name"]).removesuffix(_SUFFIX)


def succeed(data: Any) -> Response:
    """RustLLM's envelope."""
    body = orjson.dumps({"success": True, "data": data})
    return Response(body, media_type="application/json")


def _encode_model(info: ModelInfo) -> dict[str, Any]:
    return {"name": info.id, "size_bytes": info.size, "last_modified": _encode_date(info)}


def _encode_date(info: ModelInfo) -> str:
    return encode_time(datetime.fromtimestamp(info.created, UTC))
