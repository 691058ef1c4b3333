"""The routes, and their answers."""

from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.api.body import decode_body
from app.api.context import context_of
from app.api.disconnect import run_while_connected
from app.api.rerank.schemas import RerankBody
from app.api.schema import find_unknown, validate
from app.core.errors import BadRequest
from app.core.ids import make_id
from app.core.requests import RerankRequest
from app.services.rerank import Ranking, RerankService


@dataclass(frozen=True, slots=True)
class RerankRoutes:
    ranking: RerankService
    max_documents: int
    max_json_depth: int

    def routes(self) -> list[Route]:
        paths = ("/v1/rerank", "/v2/rerank", "/rerank")
        return [Route(path, self.rerank, methods=["POST"]) for path in paths]

    async def rerank(self, request: Request) -> Response:
        context = context_of(request)
        wire = await decode_body(request, self._decode, max_depth=self.max_json_depth)
        context.ignored = tuple(sorted(find_unknown(wire)))
        asked = RerankRequest(
            model=wire.model or self._choose_model(),
            query=wire.query,
            documents=wire.contents,
            document_tokens=wire.max_tokens_per_doc,
        )
        result = await run_while_connected(request, self.ranking.rank(asked))
        context.model = result.model.id
        body = _encode(result, wire) if wire.texts is None else _encode_tei(result, wire)
        return Response(orjson.dumps(body), media_type="application/json")

    def _decode(self, body: dict[str, Any]) -> RerankBody:
        for name in ("documents", "texts"):
            given: Any = body.get(name)
            if isinstance(given, list) and len(given) > self.max_documents:  # pyright: ignore[reportUnknownArgumentType]
                raise BadRequest(
                    f"'{name}': at most {self.max_documents} are ranked at once.", param=name
                )
        return validate(RerankBody, body)

    def _choose_model(self) -> str:
        name = self.ranking.first_ranker()
        if name is None:
            raise BadRequest(
                "'model' is required: there is no model here that was made for ranking.",
                param="model",
            )
        return name


def _encode(result: Ranking, wire: RerankBody) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for index, score in result.best(wire.top_n):
        row: dict[str, Any] = {"index": index, "relevance_score": score}
        if wire.return_documents:
            row["document"] = {"text": wire.contents[index]}
        rows.append(row)
    tokens = result.prompt_tokens
    return {
        "id": make_id("rerank-"),
        "object": "list",
        "model": result.model.id,
        "results": rows,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        "meta": {"method": "embeddings" if result.is_by_embeddings else "rank"},
    }


def _encode_tei(result: Ranking, wire: RerankBody) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for index, score in result.best(wire.top_n):
        row: dict[str, Any] = {"index": index, "score": score}
        if wire.return_text:
            row["text"] = wire.contents[index]
        rows.append(row)
    return rows
