"""The one error tree. Nothing here knows HTTP: each dialect maps these to its own wire form.

    CorralError
    ├── BadRequest                 the caller can fix it (invalid_value)
    │   ├── UnsupportedParameter   known, but not offered here (unsupported_parameter)
    │   ├── UnsupportedOperation   the model cannot do this (unsupported_operation)
    │   ├── ContextLengthExceeded  prompt larger than the context (context_length_exceeded)
    │   ├── InvalidConstraint      schema refused (invalid_json_schema)
    │   ├── InvalidGrammar         regex, choice or grammar refused (invalid_grammar)
    │   ├── ConstraintFailed       the format cannot be kept to the end (constraint_failed)
    │   ├── TemplateRefused        the chat template raised (template_error)
    │   ├── MalformedBody          not JSON, too deep, too many messages (malformed_body)
    │   └── BodyTooLarge           more bytes than allowed (request_too_large)
    ├── AccessDenied
    │   ├── InvalidApiKey          missing or wrong key (invalid_api_key)
    │   ├── OriginRefused          a page of another site may not do that (origin_refused)
    │   └── PullRefused            no download is allowed, or none from there (pull_refused)
    ├── NotFound
    │   ├── ModelNotFound          no such model (model_not_found)
    │   ├── ModelNotDownloaded     named in models.yaml, not pulled (model_not_downloaded)
    │   ├── SourceNotFound         nothing of that name can be pulled (source_not_found)
    │   ├── PullNotFound           no such download runs or has run (pull_not_found)
    │   ├── StoredNotFound         no such conversation, item, response (not_found)
    │   └── RouteNotFound          no such path (route_not_found)
    ├── MethodNotAllowed           wrong verb on a known path (method_not_allowed)
    ├── ModelBusy                  it is in use, and cannot be unloaded (model_busy)
    ├── QueueFull                  the bounded queue is full, retry later (queue_full)
    ├── Unavailable                retry later, possibly elsewhere
    │   ├── QueueTimeout           waited longer than its deadline (queue_timeout)
    │   ├── OutOfMemory            no memory to load the model now (out_of_memory)
    │   ├── ModelLoading           not in memory yet (model_loading)
    │   ├── StoreUnavailable       the database is gone, full or off (store_unavailable)
    │   └── Draining               the server is shutting down (draining)
    ├── Failure                    our fault, not the caller's
    │   ├── ModelLoadFailed        the model cannot be loaded (model_load_failed)
    │   ├── PullFailed             a model cannot be downloaded (pull_failed)
    │   ├── DiskFull               no room for a model's file (disk_full)
    │   ├── EngineFailed           the engine died under the request (engine_failed)
    │   └── InternalError          anything unforeseen (internal_error)
    └── ConfigurationError         settings or manifest refused at start (configuration_error)

Every leaf has a stable `code`, which is also its metric label.
"""

from typing import ClassVar


class CorralError(Exception):
    """Root of every error Corral raises on purpose.

    `param` names the offending request field (dotted path), when there is one.
    `retry_after` is the number of seconds after which a retry makes sense.
    """

    code: ClassVar[str] = "internal_error"

    def __init__(
        self, message: str, *, param: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = retry_after


class BadRequest(CorralError):
    code = "invalid_value"


class UnsupportedParameter(BadRequest):
    code = "unsupported_parameter"


class UnsupportedOperation(BadRequest):
    code = "unsupported_operation"


class ContextLengthExceeded(BadRequest):
    """The prompt does not leave room for one generated token.

    The sentence is matched word for word by OpenCode, LiteLLM and LangChain: do not reword it.
    """

    code = "context_length_exceeded"

    def __init__(self, *, n_prompt_tokens: int, n_ctx: int, param: str = "messages") -> None:
        super().__init__(
            f"This model's maximum context length is {n_ctx} tokens. However, your request has "
            f"{n_prompt_tokens} tokens, which exceeds the available context size. "
            f"Please reduce the length of the messages.",
            param=param,
        )
        self.n_prompt_tokens = n_prompt_tokens
        self.n_ctx = n_ctx


class InvalidConstraint(BadRequest):
    code = "invalid_json_schema"


class InvalidGrammar(BadRequest):
    code = "invalid_grammar"


class ConstraintFailed(BadRequest):
    """Raised in the middle of an answer: its grammar takes too much work, or leaves no way on."""

    code = "constraint_failed"


class TemplateRefused(BadRequest):
    code = "template_error"


class MalformedBody(BadRequest):
    code = "malformed_body"


class BodyTooLarge(BadRequest):
    code = "request_too_large"


class AccessDenied(CorralError):
    code = "access_denied"


class InvalidApiKey(AccessDenied):
    code = "invalid_api_key"


class OriginRefused(AccessDenied):
    code = "origin_refused"


class PullRefused(AccessDenied):
    code = "pull_refused"


class NotFound(CorralError):
    code = "not_found"


class StoredNotFound(NotFound):
    code = "not_found"


class ModelNotFound(NotFound):
    code = "model_not_found"


class ModelNotDownloaded(NotFound):
    code = "model_not_downloaded"


class SourceNotFound(NotFound):
    code = "source_not_found"


class PullNotFound(NotFound):
    code = "pull_not_found"


class RouteNotFound(NotFound):
    code = "route_not_found"


class MethodNotAllowed(CorralError):
    code = "method_not_allowed"


class ModelBusy(CorralError):
    code = "model_busy"


class QueueFull(CorralError):
    code = "queue_full"


class Unavailable(CorralError):
    code = "unavailable"


class QueueTimeout(Unavailable):
    code = "queue_timeout"


class OutOfMemory(Unavailable):
    code = "out_of_memory"


class ModelLoading(Unavailable):
    code = "model_loading"


class StoreUnavailable(Unavailable):
    code = "store_unavailable"


class Draining(Unavailable):
    code = "draining"


class Failure(CorralError):
    code = "internal_error"


class ModelLoadFailed(Failure):
    code = "model_load_failed"


class PullFailed(Failure):
    code = "pull_failed"


class DiskFull(Failure):
    code = "disk_full"


class EngineFailed(Failure):
    code = "engine_failed"


class InternalError(Failure):
    code = "internal_error"


class ConfigurationError(CorralError):
    code = "configuration_error"
