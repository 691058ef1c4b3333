"""Ollama's routes for files that a model is made of afterwards."""

from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from app.api.disconnect import ClientGone
from app.services.uploads import UploadService

BLOB_PATHS = "/api/blobs/"
"""Bodies under it are files: the disk bounds them, and no setting."""


@dataclass(frozen=True, slots=True)
class BlobRoutes:
    uploads: UploadService

    def routes(self) -> list[Route]:
        return [
            Route("/api/blobs/{digest}", self.look, methods=["HEAD"]),
            Route("/api/blobs/{digest}", self.receive, methods=["POST"]),
        ]

    async def look(self, request: Request) -> Response:
        is_here = await self.uploads.has(_digest_in(request))
        return Response(status_code=200 if is_here else 404)

    async def receive(self, request: Request) -> Response:
        digest = _digest_in(request)
        if await self.uploads.has(digest):
            return Response()
        length = request.headers.get("content-length", "")
        size = int(length) if length.isdecimal() else None
        try:
            await self.uploads.receive(digest, request.stream(), size)
        except ClientDisconnect:
            raise ClientGone from None
        return Response(status_code=201)


def _digest_in(request: Request) -> str:
    return str(request.path_params["digest"])
