"""A small server that speaks the streaming chat protocol and misbehaves on request."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

Fault = Literal["none", "refuse", "plain refusal", "error event", "cut", "no end"]
TEMPLATE_TOKENS = 7


@dataclass
class FakeServer:
    """Counts one token per word; answers `word0 word1 ...` unless `answer` says otherwise."""

    token_delay: float = 0.0
    """Seconds before each token."""
    fault: Fault = "none"
    has_usage: bool = True
    answer: str | None = None
    answer_limit: int = 1_000_000
    models: list[str] = field(default_factory=lambda: ["fake"])
    bodies: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    running: int = 0
    most_running: int = 0

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._metrics)
        return app

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": name} for name in self.models]})

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _metrics(self, _: web.Request) -> web.Response:
        """Three prompt tokens and one step of 2 ms for each answer so far."""
        answers = len(self.bodies)
        values = {
            "corral_prompt_tokens_computed_total": 3 * answers,
            "corral_engine_steps_total": answers,
            "corral_engine_overhead_seconds_total": 0.002 * answers,
        }
        return web.Response(
            text="".join(f'{name}{{model="fake"}} {value}\n' for name, value in values.items())
        )

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        if self.fault == "refuse":
            error = {"message": "the queue is full", "code": "overloaded"}
            return web.json_response({"error": error}, status=429)
        if self.fault == "plain refusal":
            return web.Response(text="<h1>no</h1>", status=502)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            return await self._stream(request, body)
        finally:
            self.running -= 1

    async def _stream(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": hello\r\n\r\n")
        await _send(response, {"choices": [{"delta": {"role": "assistant", "content": ""}}]})
        tokens = self._tokens(body)
        for number, token in enumerate(tokens):
            await asyncio.sleep(self.token_delay)
            if number == 2 and self.fault == "error event":
                await _send(response, {"error": {"message": "the model fell over"}})
                return response
            if number == 2 and self.fault == "cut":
                return response
            choice: dict[str, Any] = {"delta": {"content": token}}
            if body.get("logprobs"):
                choice["logprobs"] = {"content": [{"bytes": list(token.encode())}]}
            await _send(response, {"choices": [choice]})
        await _send(response, {"choices": [{"delta": {}, "finish_reason": "length"}]})
        if self.has_usage:
            await _send(response, {"choices": [], "usage": _usage(body, len(tokens))})
        if self.fault != "no end":
            await response.write(b"data: [DONE]\n\n")
        return response

    def _tokens(self, body: dict[str, Any]) -> list[str]:
        if self.answer is not None:
            return [self.answer[:5], self.answer[5:]]
        return [f"word{number} " for number in range(min(body["max_tokens"], self.answer_limit))]


async def _send(response: web.StreamResponse, event: dict[str, Any]) -> None:
    data = f"data: {json.dumps(event)}\r\n\r\n".encode()
    middle = len(data) // 2
    await response.write(data[:middle])
    await response.write(data[middle:])


def _usage(body: dict[str, Any], output: int) -> dict[str, Any]:
    words = sum(len(message["content"].split()) for message in body["messages"])
    return {
        "prompt_tokens": words + TEMPLATE_TOKENS,
        "completion_tokens": output,
        "prompt_tokens_details": {"cached_tokens": 3},
    }
