"""What is known about one HTTP request while it is answered."""

import time
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.types import Scope

from app.core.options import INTERACTIVE
from app.core.records import GenerationRecord
from app.core.requests import Caller

_KEY = "corral"


@dataclass(slots=True)
class RequestContext:
    """Filled in on the way; the log line, the metrics and some headers are made from it.

    `end_user` is a digest of whom a front end says it asks for, `priority` the smallest that the
    key allows. `ignored` are request fields that nobody here knows; `outcome` overrides the one
    that status and record tell.
    """

    request_id: str
    started: float = field(default_factory=time.perf_counter)
    key_id: str | None = None
    end_user: str | None = None
    priority: int = INTERACTIVE
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
        return Caller(self.request_id, self.key_id, self.end_user, self.priority)


def put_context(scope: Scope, context: RequestContext) -> None:
    scope[_KEY] = context


def context_of(source: Scope | Request) -> RequestContext:
    scope = source.scope if isinstance(source, Request) else source
    context = scope[_KEY]
    assert isinstance(context, RequestContext)  # noqa: S101 - only `put_context` writes it
    return context
