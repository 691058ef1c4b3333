"""Streaming chat completions, with arrival times."""

from collections.abc import Callable
from time import perf_counter

import orjson

from app.cli.bench.events import Answer, BadAnswerError, as_objects, error_text, parse_object
from app.cli.bench.http import NoAnswerError, Reply, Server
from app.cli.bench.records import ChatRequest, Completion

TokenSeen = Callable[[], None]


class ChatClient:
    """Sends chat requests for one model of one server."""

    def __init__(
        self, server: Server, model: str, *, ignore_eos: bool, logprobs: bool = False
    ) -> None:
        """`logprobs` asks for them with every answer, for the bytes of each token."""
        self.server = server
        self.model = model
        self._path = f"{api_path(server.url)}/chat/completions"
        self._ignore_eos = ignore_eos
        self._logprobs = logprobs

    async def complete(self, request: ChatRequest, on_token: TokenSeen | None = None) -> Completion:
        """Send one request and read it to its end; failures are recorded, never raised."""
        answer = Answer()
        events = EventReader(answer, on_token)
        body = orjson.dumps(self._body(request))
        error = None
        started = perf_counter()
        try:
            raise_for_refusal(await self.server.post(self._path, body, events.feed))
            answer.check_ended()
        except TimeoutError:
            error = "the request timed out"
        except (NoAnswerError, BadAnswerError) as problem:
            error = str(problem)
        return Completion(
            started=started,
            finished=perf_counter(),
            request=request,
            token_times=tuple(answer.times),
            text="".join(answer.texts),
            tokens=tuple(answer.tokens),
            wanted_tokens=request.max_tokens if self._ignores_eos(request) else None,
            output_tokens=answer.output_tokens,
            prompt_tokens=answer.prompt_tokens,
            cached_tokens=answer.cached_tokens,
            error=error,
        )

    def _ignores_eos(self, request: ChatRequest) -> bool:
        """A constrained answer must be able to end."""
        return self._ignore_eos and request.schema is None

    def _body(self, request: ChatRequest) -> dict[str, object]:
        body: dict[str, object] = {
            "model": self.model,
            "messages": request.messages,
            "max_tokens": request.max_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
            **request.sampling,
        }
        if request.schema is not None:
            schema = {"name": "answer", "strict": True, "schema": request.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if self._ignores_eos(request):
            body["ignore_eos"] = True
        if self._logprobs:
            body["logprobs"] = True
        return body


class EventReader:
    """Cuts the pieces of a body into server-sent events; comments are skipped."""

    def __init__(self, answer: Answer, on_token: TokenSeen | None = None) -> None:
        self._answer = answer
        self._on_token = on_token
        self._rest = b""

    def feed(self, arrived: float, piece: bytes) -> None:
        """Take in bytes that came at `arrived` (s)."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            if (
                line.startswith(b"data:")
                and self._answer.add(arrived, line[5:].strip())
                and self._on_token
            ):
                self._on_token()


async def list_models(server: Server) -> list[str]:
    """The model ids that the server offers."""
    reply = await server.get(f"{api_path(server.url)}/models")
    raise_for_refusal(reply)
    models = as_objects(parse_object(reply.body).get("data"))
    return [str(model["id"]) for model in models if "id" in model]


def api_path(url: str) -> str:
    """What leads from `url` to the API: nothing when it ends in `/v1` already."""
    return "" if url.rstrip("/").endswith("/v1") else "/v1"


def raise_for_refusal(reply: Reply) -> None:
    """Raise BadAnswerError with the server's own words unless the status is 200."""
    if reply.status == 200:
        return
    try:
        text = error_text(parse_object(reply.body))
    except BadAnswerError:
        text = reply.body.decode(errors="replace").strip()
    raise BadAnswerError(f"HTTP {reply.status}: {text[:300] or 'no text'}")
