"""What a prompt comes to before anything is generated: tokens, their text, their number."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.api.body import decode_body
from app.api.context import context_of
from app.api.disconnect import run_while_connected
from app.api.openai.decode import Limits, decode_chat
from app.api.openai.schemas.texts import DEFAULT, DetokenizeBody, TokenizeBody
from app.api.schema import Body, find_unknown, validate
from app.core.requests import GenerationRequest
from app.services.texts import RenderedPrompt, TextService

T = TypeVar("T")
B = TypeVar("B", bound=Body)


@dataclass(frozen=True, slots=True)
class TextRoutes:
    texts: TextService
    limits: Limits
    max_json_depth: int

    def routes(self) -> list[Route]:
        handlers = {
            "/tokenize": self.tokenize,
            "/detokenize": self.detokenize,
            "/apply-template": self.apply_template,
            "/v1/chat/completions/input_tokens": self.count_tokens,
        }
        return [Route(path, handler, methods=["POST"]) for path, handler in handlers.items()]

    async def tokenize(self, request: Request) -> Response:
        """Of text, or of a conversation with its template."""

        def decode(body: dict[str, Any]) -> TokenizeBody | GenerationRequest:
            if body.get("messages") is not None:
                return self._decode_chat(request, body)
            return self._validate(request, TokenizeBody, body)

        wire = await self._read(request, decode)
        if isinstance(wire, GenerationRequest):
            rendered = await run_while_connected(request, self.texts.render(wire))
            return _json(_encode_tokens(rendered.tokens, rendered.model.context_window))
        made = await run_while_connected(request, self.texts.tokenize(wire.request))
        body = _encode_tokens(made.tokens, made.model.context_window)
        if wire.with_pieces:
            body["tokens"] = [
                {"id": token, "piece": _encode_piece(piece)}
                for token, piece in zip(made.tokens, made.pieces, strict=True)
            ]
        if wire.return_token_strs:
            body["token_strs"] = [piece.decode("utf-8", "replace") for piece in made.pieces]
        return _json(body)

    async def detokenize(self, request: Request) -> Response:
        """Under llama-server's name for the text, and vLLM's."""
        wire = await self._read(request, lambda body: self._validate(request, DetokenizeBody, body))
        work = self.texts.spell(wire.model, tuple(wire.tokens))
        text = b"".join(await run_while_connected(request, work)).decode("utf-8", "replace")
        return _json({"content": text, "prompt": text})

    async def apply_template(self, request: Request) -> Response:
        return _json({"prompt": (await self._render(request)).text})

    async def count_tokens(self, request: Request) -> Response:
        count = len((await self._render(request)).tokens)
        return _json({"object": "response.input_tokens", "input_tokens": count})

    async def _render(self, request: Request) -> RenderedPrompt:
        asked = await self._read(request, lambda body: self._decode_chat(request, body))
        return await run_while_connected(request, self.texts.render(asked))

    def _decode_chat(self, request: Request, body: dict[str, Any]) -> GenerationRequest:
        context = context_of(request)
        body.setdefault("model", DEFAULT)
        decoded = decode_chat(body, context.caller, self.limits)
        context.ignored = decoded.ignored
        return decoded.request

    def _validate(self, request: Request, schema: type[B], body: dict[str, Any]) -> B:
        wire = validate(schema, body)
        context_of(request).ignored = tuple(sorted(find_unknown(wire)))
        return wire

    async def _read(self, request: Request, decode: Callable[[dict[str, Any]], T]) -> T:
        return await decode_body(request, decode, max_depth=self.max_json_depth)


def _encode_tokens(tokens: Sequence[int], context_window: int) -> dict[str, Any]:
    return {"tokens": list(tokens), "count": len(tokens), "max_model_len": context_window}


def _encode_piece(piece: bytes) -> str | list[int]:
    """Bytes where they are no text by themselves, as llama-server tells them."""
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError:
        return list(piece)


def _json(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
