"""The models on disk, as RustLLM (`/api/models`) and rustllama (`/api/list`) ask for them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.api.ollama.encode import encode_time
from app.core.models import ModelInfo
from app.services.models import ModelService

_SUFFIX = ".gguf"


@dataclass(frozen=True, slots=True)
class StoreRoutes:
    models: ModelService

    def routes(self) -> list[Route]:
        return [
            Route("/api/models", self.all, methods=["GET"]),
            Route("/api/models/{name:path}", self.one, methods=["GET"]),
            Route("/api/list", self.list_files, methods=["GET"]),
        ]

    async def all(self, _request: Request) -> Response:
        return succeed({"models": [_encode_model(info) for info in self.models.all()]})

    async def one(self, request: Request) -> Response:
        return succeed(_encode_model(self.models.get(name_in(request))))

    async def list_files(self, _request: Request) -> Response:
        cards = [self.models.describe(info.id) for info in self.models.all()]
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
