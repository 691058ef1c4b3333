"""Ollama's routes for answers and embeddings."""

import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.api.body import decode_body
from app.api.context import RequestContext, context_of
from app.api.disconnect import run_while_connected
from app.api.errors import plain_error_body
from app.api.generating import Opening, begin
from app.api.ollama.decode import (
    Decoded,
    DecodedInputs,
    decode_chat,
    decode_embed,
    decode_embeddings,
    decode_generate,
)
from app.api.ollama.encode import (
    LINES_TYPE,
    ChatShape,
    GenerateShape,
    Piece,
    PieceReader,
    Shape,
    encode_line,
    encode_superset,
    nanoseconds,
)
from app.api.sse import DONE, EventStreamResponse, encode_progress
from app.core.errors import CorralError, InternalError
from app.core.events import Failed, Finished
from app.core.requests import EmbeddingRequest, GenerationRequest
from app.services.embeddings import Embeddings, EmbeddingService
from app.services.generation import GenerationService
from app.services.models import ModelService

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Framing:
    """How the objects of a stream are told apart, and what ends it."""

    media_type: str
    prefix: bytes
    suffix: bytes
    end: bytes

    def frame(self, data: bytes) -> bytes:
        return self.prefix + data + self.suffix


LINES = Framing(LINES_TYPE, b"", b"\n", b"")
EVENTS = Framing("text/event-stream", b"data: ", b"\n\n", DONE)


@dataclass(frozen=True, slots=True)
class OllamaRoutes:
    """The handlers; they hold services and bounds, nothing about a request."""

    generation: GenerationService
    embeddings: EmbeddingService
    models: ModelService
    max_messages: int
    max_json_depth: int
    max_embedding_inputs: int
    ping_interval: float

    def routes(self) -> list[Route]:
        return [
            Route("/api/chat", self.chat, methods=["POST"]),
            Route("/api/chat/stream", self.stream_chat, methods=["POST"]),
            Route("/api/generate", self.generate, methods=["POST"]),
            Route("/api/embed", self.embed, methods=["POST"]),
            Route("/api/embeddings", self.embed_one, methods=["POST"]),
        ]

    async def chat(self, request: Request) -> Response:
        """One object unless a stream is asked for: see docs/compatibility.md."""
        decoded = await self._decode_chat(request)
        shape = ChatShape(decoded.model)
        if decoded.is_stream and decoded.request is not None:
            return await self._stream(request, decoded.request, shape, LINES)
        return await self._answer(request, decoded, shape)

    async def stream_chat(self, request: Request) -> Response:
        """RustLLM's stream: the same objects as server-sent events."""
        decoded = await self._decode_chat(request)
        shape = ChatShape(decoded.model)
        if decoded.request is None:
            return await self._answer(request, decoded, shape)
        return await self._stream(request, decoded.request, shape, EVENTS)

    async def generate(self, request: Request) -> Response:
        """A stream unless one object is asked for."""
        context = context_of(request)
        decoded = await self._read(request, lambda body: decode_generate(body, context.caller))
        context.ignored = decoded.ignored
        shape = GenerateShape(decoded.model)
        if decoded.is_stream is not False and decoded.request is not None:
            return await self._stream(request, decoded.request, shape, LINES)
        return await self._answer(request, decoded, shape)

    async def embed(self, request: Request) -> Response:
        context, started = context_of(request), time.monotonic()
        decoded = await self._read(
            request, lambda body: decode_embed(body, context.caller, self.max_embedding_inputs)
        )
        result = await self._embed(request, decoded)
        return _json(
            {
                "model": decoded.model,
                "embeddings": result.vectors.tolist() if result else [],
                "total_duration": nanoseconds(time.monotonic() - started),
                "load_duration": nanoseconds(result.load_seconds if result else 0.0),
                "prompt_eval_count": result.prompt_tokens if result else 0,
            }
        )

    async def embed_one(self, request: Request) -> Response:
        context = context_of(request)
        decoded = await self._read(request, lambda body: decode_embeddings(body, context.caller))
        result = await self._embed(request, decoded)
        return _json({"embedding": result.vectors[0].tolist() if result else []})

    async def _decode_chat(self, request: Request) -> Decoded:
        context = context_of(request)
        decoded = await self._read(
            request, lambda body: decode_chat(body, context.caller, self.max_messages)
        )
        context.ignored = decoded.ignored
        return decoded

    async def _read(self, request: Request, decode: Callable[[dict[str, Any]], T]) -> T:
        return await decode_body(request, decode, max_depth=self.max_json_depth, is_curl_taken=True)

    async def _embed(self, request: Request, decoded: DecodedInputs) -> Embeddings | None:
        """None where the model was only loaded or unloaded."""
        context = context_of(request)
        context.ignored = decoded.ignored
        asked: EmbeddingRequest | None = decoded.request
        if asked is None:
            await run_while_connected(request, self._keep(decoded.model, decoded.keep_alive))
            return None
        result = await run_while_connected(request, self.embeddings.embed(asked))
        context.model = result.model.id
        return result

    async def _answer(self, request: Request, decoded: Decoded, shape: Shape) -> Response:
        if decoded.request is None:
            work = self._keep(decoded.model, decoded.keep_alive)
            return _json(shape.end_empty(await run_while_connected(request, work)))
        work = self._complete(decoded.request, shape, context_of(request))
        return _json(await run_while_connected(request, work))

    async def _keep(self, model: str, keep_alive: float | None) -> str:
        """Load a model, or with no time to be kept unload it; which of them was done."""
        if keep_alive == 0:
            await self.models.unload(model)
            return "unload"
        await self.models.load(model, keep_alive)
        return "load"

    async def _complete(
        self, asked: GenerationRequest, shape: Shape, context: RequestContext
    ) -> dict[str, Any]:
        async with await begin(self.generation, asked, context) as generation:
            events = await generation.complete()
            piece = PieceReader().read(events)
            reason = _reason_of(events)
            answer = shape.end(piece, reason, generation.record, generation.usage)
            if isinstance(shape, ChatShape):
                return encode_superset(answer, generation.usage)
            return answer

    async def _stream(
        self, request: Request, asked: GenerationRequest, shape: Shape, framing: Framing
    ) -> Response:
        context = context_of(request)
        opening = await run_while_connected(request, Opening.begin(self.generation, asked, context))

        def ping() -> bytes:
            # lines have no comments: what stands for silence is a piece of nothing
            if framing is EVENTS:
                return b": ping\n\n"
            return encode_line(shape.tell(Piece()))

        return EventStreamResponse(
            _follow(opening, shape, framing, context),
            ping_interval=self.ping_interval,
            close=opening.close,
            make_ping=ping,
            media_type=framing.media_type,
        )


async def _follow(
    opening: Opening, shape: Shape, framing: Framing, context: RequestContext
) -> AsyncGenerator[bytes, None]:
    """The frames of a stream. A failure on the way is the last of them."""

    def fail(error: CorralError) -> bytes:
        context.error_code = error.code
        return framing.frame(plain_error_body(error))

    reader = PieceReader()
    try:
        async for progress in opening.wait():
            if framing is EVENTS:
                yield encode_progress(progress)
        try:
            generation = await opening.generation()
        except CorralError as error:  # refused after all, once its model was there
            yield fail(error)
            return
        async for batch in generation:
            piece, last = reader.read(batch), batch[-1]
            if isinstance(last, Failed):
                yield fail(last.error)
                return
            if not piece.is_empty:
                yield framing.frame(orjson.dumps(shape.tell(piece)))
            if isinstance(last, Finished):
                reason = _reason_of(batch)
                ended = shape.end(Piece(), reason, generation.record, generation.usage)
                yield framing.frame(orjson.dumps(ended)) + framing.end
    except Exception as error:
        if not isinstance(error, CorralError):
            error = InternalError("The server had an error while processing the request.")
        yield fail(error)
        raise


def _reason_of(events: list[Any]) -> str:
    """Ollama has no reason of its own for calls."""
    ends = [event.reason for event in events if isinstance(event, Finished)]
    return "length" if ends[-1] == "length" else "stop"


def _json(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
