"""Errors as clients read them: one table of statuses; OpenAI's JSON form, and Ollama's under
`/api`."""

import math
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from app.api.context import context_of
from app.core import errors
from app.core.errors import CorralError

PLAIN_PATHS = "/api/"

_INVALID = "invalid_request_error"
_UNAVAILABLE = "unavailable_error"
_SERVER = "server_error"

OPENAI_ERRORS: Mapping[type[CorralError], tuple[int, str]] = {
    errors.BadRequest: (400, _INVALID),
    errors.UnsupportedParameter: (400, _INVALID),
    errors.UnsupportedOperation: (400, _INVALID),
    errors.ContextLengthExceeded: (400, _INVALID),
    errors.InvalidConstraint: (400, _INVALID),
    errors.InvalidGrammar: (400, _INVALID),
    errors.ConstraintFailed: (400, _INVALID),
    errors.TemplateRefused: (400, _INVALID),
    errors.MalformedBody: (400, _INVALID),
    errors.BodyTooLarge: (413, _INVALID),
    errors.InvalidApiKey: (401, "authentication_error"),
    errors.OriginRefused: (403, "permission_error"),
    errors.PullRefused: (403, "permission_error"),
    errors.ModelNotFound: (404, _INVALID),
    errors.ModelNotDownloaded: (404, _INVALID),
    errors.SourceNotFound: (404, _INVALID),
    errors.PullNotFound: (404, _INVALID),
    errors.StoredNotFound: (404, _INVALID),
    errors.RouteNotFound: (404, _INVALID),
    errors.MethodNotAllowed: (405, _INVALID),
    errors.ModelBusy: (409, _INVALID),
    errors.QueueFull: (429, "rate_limit_error"),
    errors.QueueTimeout: (503, _UNAVAILABLE),
    errors.OutOfMemory: (503, _UNAVAILABLE),
    errors.ModelLoading: (503, _UNAVAILABLE),
    errors.StoreUnavailable: (503, _UNAVAILABLE),
    errors.Draining: (503, _UNAVAILABLE),
    errors.ModelLoadFailed: (500, _SERVER),
    errors.PullFailed: (500, _SERVER),
    errors.DiskFull: (507, _SERVER),
    errors.EngineFailed: (500, _SERVER),
    errors.InternalError: (500, _SERVER),
    errors.ConfigurationError: (500, _SERVER),
}
"""Status and type of every leaf of the error tree."""

_FAILS_AGAIN = (errors.ModelLoadFailed, errors.ConfigurationError)
_DEFAULT_RETRY_AFTER = 1


def find_status(error: CorralError) -> tuple[int, str]:
    """Status and type; a class that is not in the table answers as its nearest ancestor."""
    for kind in type(error).__mro__:
        if kind in OPENAI_ERRORS:
            return OPENAI_ERRORS[kind]
    return 500, _SERVER


def error_body(error: CorralError) -> bytes:
    return orjson.dumps({"error": describe_error(error)})


def plain_error_body(error: CorralError, model: str | None = None) -> bytes:
    """Ollama's form, where `error` is text. `model`: the name that was asked for; clients know by
    these words that a model must be pulled."""
    message = _message_of(error)
    if isinstance(error, errors.ModelNotFound) and model is not None:
        message = f"model '{model}' not found"
    return orjson.dumps({"success": False, "error": message})


def error_response(
    error: CorralError, scope: Scope, headers: Mapping[str, str] | None = None
) -> Response:
    """The whole HTTP answer to `error`, in the form of the route that `scope` asks for."""
    status, _ = find_status(error)
    made = {**_headers_of(error, status), **(headers or {})}
    is_plain = scope["path"].startswith(PLAIN_PATHS)
    body = plain_error_body(error, context_of(scope).model) if is_plain else error_body(error)
    return Response(body, status, headers=made, media_type="application/json")


async def answer_corral_error(request: Request, error: Exception) -> Response:
    """Exception handler for everything raised on purpose."""
    if not isinstance(error, CorralError):
        raise error
    context_of(request).error_code = error.code
    return error_response(error, request.scope)


async def answer_http_exception(request: Request, error: Exception) -> Response:
    """Exception handler for what the router refuses: unknown paths and wrong verbs."""
    if not isinstance(error, HTTPException):
        raise error
    method, path = request.method, request.url.path
    if error.status_code == 405:
        refused: CorralError = errors.MethodNotAllowed(f"{path} does not answer {method} requests.")
    elif error.status_code == 404:
        refused = errors.RouteNotFound(f"There is no route {method} {path}.{_hint_for(request)}")
    else:
        refused = errors.BadRequest(error.detail)
    context_of(request).error_code = refused.code
    return error_response(refused, request.scope, error.headers)


def _hint_for(request: Request) -> str:
    known: set[str] = request.app.state.paths
    wanted = "/v1/" + request.url.path.strip("/").removeprefix("v1/")
    return f" Did you mean {wanted}?" if wanted in known else ""


def describe_error(error: CorralError) -> dict[str, Any]:
    """OpenAI's error object."""
    _, kind = find_status(error)
    described: dict[str, Any] = {
        "message": _message_of(error),
        "type": kind,
        "param": error.param,
        "code": error.code,
    }
    if isinstance(error, errors.ContextLengthExceeded):
        described |= {"n_prompt_tokens": error.n_prompt_tokens, "n_ctx": error.n_ctx}
    return described


def _message_of(error: CorralError) -> str:
    """Clients take an error for a rate limit by these words, so they stand there and only there."""
    if isinstance(error, errors.QueueFull) and "rate limit" not in error.message.lower():
        return f"Rate limit reached: {error.message}"
    return error.message.encode(errors="replace").decode()


def _headers_of(error: CorralError, status: int) -> dict[str, str]:
    headers: dict[str, str] = {}
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    if status in {429, 503}:
        headers["retry-after"] = str(math.ceil(error.retry_after or _DEFAULT_RETRY_AFTER))
    if isinstance(error, _FAILS_AGAIN) or type(error) is errors.InternalError:
        headers["x-should-retry"] = "false"
    if isinstance(error, errors.Draining):
        headers["connection"] = "close"
    return headers
