"""The bodies of the routes under `/v1/conversations`."""

from typing import Annotated, Any

from pydantic import Field

from app.api.openai.responses.schemas import MAX_INPUTS, Identifier
from app.api.openai.schemas.metadata import Metadata
from app.api.schema import Body

Items = Annotated[list[Any], Field(max_length=MAX_INPUTS)]
"""Looked at one by one: see `responses.items`."""


class ConversationBody(Body):
    metadata: Metadata | None = None
    items: Items | None = None


class ChangeBody(Body):
    metadata: Metadata | None = None
    head: Identifier | None = None


class ItemsBody(Body):
    items: Annotated[Items, Field(min_length=1)]
    after: Identifier | None = None


class MetadataBody(Body):
    metadata: Metadata
