"""One form for every error, on every route."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog.testing
from starlette.responses import Response

from app.api.context import RequestContext, put_context
from app.api.errors import OPENAI_ERRORS, error_response, find_status
from app.core import errors
from app.core.errors import CorralError
from tests.unit.api.served import CHAT, MODEL, Served, chat, serve


def leaves(kind: type[CorralError] = CorralError) -> Iterator[type[CorralError]]:
    children = [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    if not children:
        yield kind
    for child in children:
        yield from leaves(child)


LEAVES = tuple(leaves())


def make(kind: type[CorralError]) -> CorralError:
    if issubclass(kind, errors.ContextLengthExceeded):
        return kind(n_prompt_tokens=5, n_ctx=4)
    return kind("why", retry_after=7)


def answer(error: CorralError, path: str = CHAT, model: str | None = None) -> Response:
    scope: dict[str, Any] = {"type": "http", "path": path}
    put_context(scope, RequestContext("req_1", model=model))
    return error_response(error, scope)


@pytest.mark.parametrize("kind", LEAVES)
def test_every_leaf_of_the_error_tree_is_mapped(kind: type[CorralError]) -> None:
    assert kind in OPENAI_ERRORS
    response = answer(make(kind))
    assert response.status_code == OPENAI_ERRORS[kind][0]


def test_codes_are_unique_but_for_the_roots() -> None:
    codes = [kind.code for kind in LEAVES]
    assert len(codes) == len(set(codes))


def test_an_unmapped_error_answers_as_its_ancestor() -> None:
    class Odd(errors.QueueFull):
        pass

    class Rootless(CorralError):
        pass

    assert find_status(Odd("x")) == (429, "rate_limit_error")
    assert find_status(Rootless("x")) == (500, "server_error")


@pytest.mark.parametrize(
    ("kind", "status", "type_", "code"),
    [
        (errors.BadRequest, 400, "invalid_request_error", "invalid_value"),
        (errors.ContextLengthExceeded, 400, "invalid_request_error", "context_length_exceeded"),
        (errors.InvalidConstraint, 400, "invalid_request_error", "invalid_json_schema"),
        (errors.TemplateRefused, 400, "invalid_request_error", "template_error"),
        (errors.InvalidApiKey, 401, "authentication_error", "invalid_api_key"),
        (errors.ModelNotFound, 404, "invalid_request_error", "model_not_found"),
        (errors.BodyTooLarge, 413, "invalid_request_error", "request_too_large"),
        (errors.QueueFull, 429, "rate_limit_error", "queue_full"),
        (errors.QueueTimeout, 503, "unavailable_error", "queue_timeout"),
        (errors.ModelLoading, 503, "unavailable_error", "model_loading"),
        (errors.Draining, 503, "unavailable_error", "draining"),
        (errors.InternalError, 500, "server_error", "internal_error"),
    ],
)
async def test_point_32_statuses(
    kind: type[CorralError], status: int, type_: str, code: str
) -> None:
    response = await serve(refusal=make(kind)).post(CHAT, chat())
    error = response.json()["error"]
    assert response.status_code == status
    assert (error["type"], error["code"]) == (type_, code)
    assert isinstance(error["message"], str)
    assert error["param"] is None or isinstance(error["param"], str)
    assert ("retry-after" in response.headers) == (status in {429, 503})
    assert response.headers.get("retry-after", "7") == "7"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (errors.InternalError, "false"),
        (errors.ModelLoadFailed, "false"),
        (errors.EngineFailed, None),
        (errors.QueueFull, None),
        (errors.QueueTimeout, None),
    ],
)
def test_point_33_should_retry(kind: type[CorralError], expected: str | None) -> None:
    assert answer(make(kind)).headers.get("x-should-retry") == expected


def test_point_34_the_words_rate_limit() -> None:
    for kind in LEAVES:
        text = bytes(answer(make(kind)).body).decode().lower()
        assert ("rate limit" in text) == (kind is errors.QueueFull)
        assert "429" not in text
    told = answer(errors.QueueFull("The rate limit is reached."))
    assert bytes(told.body).decode().count("ate limit") == 1


def test_point_43_under_api_an_error_is_a_string() -> None:
    told = answer(errors.BadRequest("why", param="options"), "/api/chat")
    assert (told.status_code, json.loads(bytes(told.body))) == (
        400,
        {"success": False, "error": "why"},
    )
    unknown = answer(errors.ModelNotFound("why", param="model"), "/api/show", "gone")
    assert json.loads(bytes(unknown.body))["error"] == "model 'gone' not found"


async def test_point_35_context_overflow() -> None:
    body: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "x" * 3000}]}
    for streamed in (False, True):
        response = await serve().post(CHAT, body | {"stream": streamed})
        assert response.status_code == 400
        tokens = 3000 + 20
        assert response.json()["error"] == {
            "message": (
                "This model's maximum context length is 2048 tokens. However, your request has "
                f"{tokens} tokens, which exceeds the available context size. Please reduce the "
                "length of the messages."
            ),
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
            "n_prompt_tokens": tokens,
            "n_ctx": 2048,
        }


async def test_point_20_template_refusals() -> None:
    served = serve(template="{{ raise_exception('No user query found') }}")
    error = (await served.post(CHAT, chat())).json()["error"]
    assert (error["message"], error["code"]) == ("No user query found", "template_error")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "route_not_found"),
        ("POST", "/v1/nothing", 404, "route_not_found"),
        ("PUT", CHAT, 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("POST", "/health", 405, "method_not_allowed"),
    ],
)
async def test_point_32_unknown_routes_and_methods(
    method: str, path: str, status: int, code: str
) -> None:
    async with serve().client() as client:
        response = await client.request(method, path)
    assert response.status_code == status
    assert response.json()["error"]["code"] == code
    assert ("allow" in response.headers) == (status == 405)


async def test_a_missing_prefix_is_hinted_at() -> None:
    response = await serve().post("/chat/completions", chat())
    assert response.json()["error"]["message"].endswith("Did you mean /v1/chat/completions?")
    assert "Did you mean" not in (await serve().get("/nothing")).text


async def test_surprises_are_logged_and_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve()
    broken = Served(served.pool)

    def explode(_name: str) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(broken.pool, "find", explode)
    with structlog.testing.capture_logs() as logs:
        response = await broken.post(CHAT, chat())
    assert response.status_code == 500
    assert response.json()["error"] == {
        "message": "The server had an error while processing the request.",
        "type": "server_error",
        "param": None,
        "code": "internal_error",
    }
    assert response.headers["x-should-retry"] == "false"
    assert "x-request-id" in response.headers
    assert any(entry["event"] == "request failed" and entry.get("exc_info") for entry in logs)
