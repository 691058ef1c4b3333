"""OpenAI's routes under `/v1`."""

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.api.body import decode_body
from app.api.context import RequestContext, context_of
from app.api.disconnect import run_while_connected
from app.api.errors import error_body
from app.api.generating import Opening, begin
from app.api.openai.decode import (
    Decoded,
    Limits,
    decode_chat,
    decode_completion,
    decode_embedding,
)
from app.api.openai.encode import chat, completions
from app.api.openai.encode.common import Answer, Chunks, Envelope, encode_whole, frame
from app.api.openai.encode.embeddings import encode_embeddings
from app.api.openai.encode.models import encode_model, encode_models
from app.api.openai.owners import owner_of
from app.api.openai.stored_completions import keep
from app.api.sse import DONE, EventStreamResponse, encode_progress
from app.core.errors import CorralError, InternalError
from app.core.events import Event, Failed
from app.core.ids import make_id
from app.core.requests import Caller
from app.services.embeddings import EmbeddingService
from app.services.generation import GenerationService
from app.services.models import ModelService
from app.services.running import Generation
from app.storage.completions import CompletionStore

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Form:
    """How one route's requests and answers look."""

    decode: Callable[[dict[str, Any], Caller, Limits], Decoded]
    id_prefix: str
    object: str
    chunk_object: str
    make_chunks: Callable[[Envelope], Chunks]
    make_answer: Callable[[Envelope], Answer]


CHAT = Form(
    decode_chat,
    "chatcmpl-",
    chat.OBJECT,
    chat.CHUNK_OBJECT,
    chat.ChatChunks,
    lambda envelope: chat.ChatAnswer(envelope.thought_field),
)
COMPLETION = Form(
    decode_completion,
    "cmpl-",
    completions.OBJECT,
    completions.OBJECT,
    completions.CompletionChunks,
    lambda _: completions.CompletionAnswer(),
)


@dataclass(frozen=True, slots=True)
class OpenAIRoutes:
    """The handlers; they hold services and bounds, nothing about a request."""

    generation: GenerationService
    embeddings: EmbeddingService
    models: ModelService
    limits: Limits
    max_json_depth: int
    max_embedding_inputs: int
    ping_interval: float
    fingerprint: str
    completions: CompletionStore

    def routes(self) -> list[Route]:
        return [
            Route("/v1/chat/completions", self.create_chat, methods=["POST"]),
            Route("/v1/completions", self.create_completion, methods=["POST"]),
            Route("/v1/embeddings", self.create_embeddings, methods=["POST"]),
            Route("/v1/models", self.list_models, methods=["GET"]),
            Route("/v1/models/{id:path}", self.get_model, methods=["GET"]),
        ]

    async def create_chat(self, request: Request) -> Response:
        return await self._generate(request, CHAT)

    async def create_completion(self, request: Request) -> Response:
        return await self._generate(request, COMPLETION)

    async def create_embeddings(self, request: Request) -> Response:
        context = context_of(request)
        asked, is_base64, context.ignored = await self._read(
            request, lambda body: decode_embedding(body, context.caller, self.max_embedding_inputs)
        )
        result = await run_while_connected(request, self.embeddings.embed(asked))
        context.model = result.model.id
        return _json(encode_embeddings(result, is_base64=is_base64))

    async def list_models(self, _request: Request) -> Response:
        return _json(orjson.dumps(encode_models(self.models.all())))

    async def get_model(self, request: Request) -> Response:
        return _json(orjson.dumps(encode_model(self.models.get(request.path_params["id"]))))

    async def _generate(self, request: Request, form: Form) -> Response:
        context = context_of(request)
        decoded = await self._read(
            request, lambda body: form.decode(body, context.caller, self.limits)
        )
        context.ignored = decoded.ignored
        owner = owner_of(request)
        if decoded.keep is not None:
            self.completions.check()
        if decoded.is_stream:
            opening = await run_while_connected(
                request, Opening.begin(self.generation, decoded.request, context)
            )
            body_stream = self._stream(opening, decoded, form, context, owner)
            return EventStreamResponse(
                body_stream, ping_interval=self.ping_interval, close=opening.close
            )
        return await run_while_connected(request, self._answer(decoded, form, context, owner))

    async def _read(self, request: Request, decode: Callable[[dict[str, Any]], T]) -> T:
        return await decode_body(request, decode, max_depth=self.max_json_depth)

    async def _answer(
        self, decoded: Decoded, form: Form, context: RequestContext, owner: str
    ) -> Response:
        async with await begin(self.generation, decoded.request, context) as generation:
            events = await generation.complete()
            envelope = self._envelope(form.id_prefix, form.object, generation, decoded)
            body = _encode_whole(form, envelope, events, generation, decoded)
        if decoded.keep is not None:
            await keep(self.completions, owner, decoded.keep, body)
        return _json(body)

    async def _stream(
        self,
        opening: Opening,
        decoded: Decoded,
        form: Form,
        context: RequestContext,
        owner: str,
    ) -> AsyncGenerator[bytes, None]:
        """The frames of a stream. A failure on the way is the last of them."""
        kept: list[Event] = []
        try:
            async for progress in opening.wait():
                yield encode_progress(progress)
            try:
                generation = await opening.generation()
            except CorralError as error:  # refused after all, once its model was there
                yield self._fail(error, context)
                return
            envelope = self._envelope(form.id_prefix, form.chunk_object, generation, decoded)
            chunks = form.make_chunks(envelope)
            if head := chunks.open(generation.choices):
                yield head
            async for batch in generation:
                if isinstance(batch[-1], Failed):
                    yield chunks.encode(batch) + self._fail(batch[-1].error, context)
                    return
                if decoded.keep is not None:
                    kept += batch
                if data := chunks.encode(batch):
                    yield data
            if decoded.keep is not None:
                whole = replace(envelope, object=form.object)
                body = _encode_whole(form, whole, kept, generation, decoded)
                await keep(self.completions, owner, decoded.keep, body)
            tail = chunks.usage(generation.usage) if decoded.wants_usage else b""
            yield tail + DONE
        except Exception as error:
            if not isinstance(error, CorralError):
                error = InternalError("The server had an error while processing the request.")
            yield self._fail(error, context)
            raise

    def _fail(self, error: CorralError, context: RequestContext) -> bytes:
        context.error_code = error.code
        return frame(error_body(error))

    def _envelope(
        self, prefix: str, kind: str, generation: Generation, decoded: Decoded
    ) -> Envelope:
        return Envelope(
            id=make_id(prefix),
            object=kind,
            created=int(time.time()),
            model=generation.model.id,
            fingerprint=self.fingerprint,
            service_tier=decoded.service_tier,
            thought_field=decoded.thought_field,
        )


def _encode_whole(
    form: Form,
    envelope: Envelope,
    events: Sequence[Event],
    generation: Generation,
    decoded: Decoded,
) -> bytes:
    return encode_whole(
        form.make_answer,
        envelope,
        events,
        choices=generation.choices,
        usage=generation.usage,
        wants_logprobs=decoded.request.logprobs is not None,
    )


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")
