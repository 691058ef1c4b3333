"""Whose a stored thing is: the API key's, or without keys everybody's."""

from starlette.requests import Request

from app.api.context import context_of
from app.core.ids import digest_of

LOCAL = "local"


def owner_of(request: Request) -> str:
    key = context_of(request).key_id
    return LOCAL if key is None else digest_of(key)
