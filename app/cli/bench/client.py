"""Streaming chat completions over one aiohttp session, with arrival times."""

from collections.abc import AsyncIterator, Callable
from time import perf_counter

import aiohttp

from app.cli.bench.events import Answer, BadAnswerError, as_objects, error_text, parse_object
from app.cli.bench.records import ChatRequest, Completion

TokenSeen = Callable[[], None]


def open_session(api_key: str | None, timeout: float) -> aiohttp.ClientSession:
    """A session without a connection limit; `timeout` is the limit of a whole request, in s.

    Each request has its own connection, as from separate users: some servers close a kept-alive
    connection after a stream, and a request sent into that would fail through no fault of theirs.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
        timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=10),
    )


class ChatClient:
    """Sends chat requests for one model of one server."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, model: str, *, ignore_eos: bool
    ) -> None:
        self._session = session
        self._url = f"{api_root(url)}/chat/completions"
        self._model = model
        self._ignore_eos = ignore_eos

    async def complete(self, request: ChatRequest, on_token: TokenSeen | None = None) -> Completion:
        """Send one request and read it to its end; failures are recorded, never raised."""
        answer = Answer()
        error = None
        started = perf_counter()
        try:
            async with self._session.post(self._url, json=self._body(request)) as response:
                await _raise_for_refusal(response)
                async for arrived, data in read_events(response.content):
                    if answer.add(arrived, data) and on_token:
                        on_token()
            answer.check_ended()
        except TimeoutError:
            error = "the request timed out"
        except (aiohttp.ClientError, BadAnswerError) as problem:
            error = str(problem) or type(problem).__name__
        return Completion(
            started=started,
            finished=perf_counter(),
            token_times=tuple(answer.times),
            text="".join(answer.texts),
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
            "model": self._model,
            "messages": request.messages,
            "max_tokens": request.max_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.schema is not None:
            schema = {"name": "answer", "strict": True, "schema": request.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if self._ignores_eos(request):
            body["ignore_eos"] = True
        return body


async def read_events(content: aiohttp.StreamReader) -> AsyncIterator[tuple[float, bytes]]:
    """Yield arrival time (s) and data of each server-sent event; comments are skipped."""
    rest = b""
    async for chunk in content.iter_any():
        arrived = perf_counter()
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield arrived, line[5:].strip()


async def list_models(session: aiohttp.ClientSession, url: str) -> list[str]:
    """The model ids that the server offers."""
    async with session.get(f"{api_root(url)}/models") as response:
        await _raise_for_refusal(response)
        models = as_objects(parse_object(await response.read()).get("data"))
        return [str(model["id"]) for model in models if "id" in model]


def api_root(url: str) -> str:
    """The address of the API's `/v1`, whether or not `url` already has it."""
    return url.rstrip("/").removesuffix("/v1") + "/v1"


async def _raise_for_refusal(response: aiohttp.ClientResponse) -> None:
    if response.status == 200:
        return
    body = await response.read()
    try:
        text = error_text(parse_object(body))
    except BadAnswerError:
        text = body.decode(errors="replace").strip()
    raise BadAnswerError(f"HTTP {response.status}: {text[:300] or response.reason}")
