"""What is known about one HTTP request while it is answered."""

import time
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.types import Scope

from app.core.records import GenerationRecord
from app.core.requests import Caller

_KEY = "corral"


@dataclass(slots=True)
class RequestContext:
    """Filled in on the way; the log line, the metrics and some headers are made from it.

    `ignored` are request fields that nobody here knows; `outcome` overrides the one that status
    and record tell.
    """

    request_id: str
    started: float = field(default_factory=time.perf_counter)
    key_id: str | None = None
    model: str | None = None
    record: GenerationRecord | None = None
    ignored: tuple[str, ...] = ()
    outcome: str | None = None
    error_code: str | None = None

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self.started

    @property
    def caller(self) -> Caller:
        return Caller(request_id=self.request_id, key_id=self.key_id)


def put_context(scope: Scope, context: RequestContext) -> None:
    scope[_KEY] = context


def context_of(source: Scope | Request) -> RequestContext:
    scope = source.scope if isinstance(source, Request) else source
    context = scope[_KEY]
    assert isinstance(context, RequestContext)  # noqa: S101 - only `put_context` writes it
    return context
