"""Streams answers of `/v1/chat/completions`."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

import httpx2

from app.cli.address import Address
from app.cli.chat.turn import Counts, Piece, Turn
from app.cli.remote import ServerError, explain_failure, explain_refusal, headers_of, read_error

Json = dict[str, Any]

_PATH = "/v1/chat/completions"
_CONNECT_SECONDS = 10.0
# The server sends a comment every few seconds, also while it loads the model.
_SILENCE_SECONDS = 600.0
_DATA, _COMMENT, _DONE = "data:", ":", "[DONE]"
_NEWS = ("pulling", "loading")


class ChatClient:
    """One connection, used for one answer after the other."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._client = httpx2.AsyncClient(
            base_url=address.url,
            headers=headers_of(address),
            timeout=httpx2.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS),
            trust_env=not address.is_local,
            transport=httpx2.AsyncHTTPTransport(uds=address.socket) if address.socket else None,
        )

    async def aclose(self) -> None:
        await self._client.aclose()

    async def ask(self, body: Json, turn: Turn) -> AsyncGenerator[Piece]:
        """The answer's pieces, which `turn` collects. Whoever stops early closes the connection,
        and the server then stops too. Raises Refusal in one line."""
        whole = {**body, "stream": True, "stream_options": {"include_usage": True}}
        try:
            async with self._client.stream("POST", _PATH, json=whole) as answer:
                if answer.status_code >= 400:
                    raise explain_refusal(answer.status_code, await answer.aread(), self._address)
                async with aclosing(_read(answer, turn)) as pieces:
                    async for piece in pieces:
                        turn.add(piece)
                        yield piece
        except httpx2.HTTPError as error:
            raise explain_failure(error, self._address) from None


async def _read(answer: httpx2.Response, turn: Turn) -> AsyncGenerator[Piece]:
    reason: str | None = None
    counts: Counts | None = None
    async for line in _split(answer):
        if line.startswith(_COMMENT):
            yield Piece(news=_read_news(line))
        if not line.startswith(_DATA):
            continue
        data = line.removeprefix(_DATA).strip()
        if data == _DONE:
            turn.end(reason, counts)
            return
        told = cast("Json", json.loads(data))
        if told.get("error"):
            message, code = read_error(data.encode())
            raise ServerError(message, code=code)
        turn.model = str(told.get("model") or turn.model)
        counts = _read_counts(told.get("usage")) or counts
        for choice in told.get("choices") or ():
            reason = choice.get("finish_reason") or reason
            yield _read_piece(choice.get("delta") or {})
    raise ServerError("the stream ended before the answer did")


async def _split(answer: httpx2.Response) -> AsyncGenerator[str]:
    """Lines of the stream, comments too: they tell how far a model is, and the library's own
    reader leaves them out."""
    rest = ""
    async for text in answer.aiter_text():
        *lines, rest = (rest + text).split("\n")
        for line in lines:
            yield line


def _read_news(comment: str) -> str:
    """What a comment tells of a download or a load; others only keep the connection open."""
    text = comment.removeprefix(_COMMENT).strip()
    return text if text.startswith(_NEWS) else ""


def _read_piece(delta: Json) -> Piece:
    return Piece(delta.get("content") or "", delta.get("reasoning_content") or "")


def _read_counts(usage: Json | None) -> Counts | None:
    if not usage:
        return None
    prompt: Json = usage.get("prompt_tokens_details") or {}
    answer: Json = usage.get("completion_tokens_details") or {}
    return Counts(
        prompt=usage.get("prompt_tokens", 0),
        answer=usage.get("completion_tokens", 0),
        cached=prompt.get("cached_tokens", 0),
        thought=answer.get("reasoning_tokens", 0),
    )
