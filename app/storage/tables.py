"""The tables. `migrations` makes them; a test compares the two.

Every item has a parent, and so all of them form trees: a conversation is the path from a root to
its `head`, a branch another path. What a response was made from is the path to its `tail`. Rows are
found by owner first: nobody is shown another's.

Who writes takes locks in one order, so that no two wait for each other: of conversations, by their
identifiers, then of each response, by theirs, and of its items. Items of a conversation are changed
only under its lock.
"""

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Float, ForeignKey, Index, Integer, Row, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

AnyRow = Row[*tuple[Any, ...]]
Sequence = BigInteger().with_variant(Integer(), "sqlite")


class Base(DeclarativeBase):
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it so
        str: Text,
        float: Float(53),
        dict[str, Any]: JSON,
        list[dict[str, Any]]: JSON,
    }


class ConversationRow(Base):
    """`title` repeats the one in `meta` for searches; `size`: bytes of its items."""

    __tablename__ = "conversations"
    __table_args__ = (Index("conversations_by_change", "owner", "updated_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    created_at: Mapped[float]
    updated_at: Mapped[float]
    meta: Mapped[dict[str, Any]]
    title: Mapped[str | None]
    preview: Mapped[str | None]
    head: Mapped[str | None]
    model: Mapped[str | None]


class ItemRow(Base):
    """`response_id`: the response that it was input or (`is_output`) output of. `words` is what a
    search reads; `content` the rest of the item."""

    __tablename__ = "items"
    __table_args__ = (
        Index("items_by_parent", "parent_id"),
        Index("items_by_conversation", "conversation_id"),
        Index("items_by_response", "response_id"),
        {"sqlite_autoincrement": True},
    )

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    owner: Mapped[str]
    conversation_id: Mapped[str | None] = mapped_column(
        ForeignKey("conversations.id", ondelete="CASCADE")
    )
    response_id: Mapped[str | None]
    is_output: Mapped[bool] = mapped_column(Boolean)
    parent_id: Mapped[str | None]
    created_at: Mapped[float]
    kind: Mapped[str]
    status: Mapped[str]
    model: Mapped[str | None]
    words: Mapped[str]
    content: Mapped[dict[str, Any]]


class ResponseRow(Base):
    """`echo`: what the response says of its request. `worker`: the process that runs it.
    `pieces`: how its stream was numbered, see `records.Response`."""

    __tablename__ = "responses"
    __table_args__ = (
        Index("responses_by_conversation", "conversation_id"),
        Index("responses_by_status", "status"),
        Index("responses_by_age", "created_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    conversation_id: Mapped[str | None] = mapped_column(
        ForeignKey("conversations.id", ondelete="CASCADE")
    )
    previous_id: Mapped[str | None]
    tail: Mapped[str | None]
    created_at: Mapped[float]
    completed_at: Mapped[float | None]
    status: Mapped[str]
    reason: Mapped[str | None]
    error: Mapped[dict[str, Any] | None]
    model: Mapped[str]
    is_background: Mapped[bool] = mapped_column(Boolean)
    is_cancelled: Mapped[bool] = mapped_column(Boolean)
    worker: Mapped[str | None]
    last_event: Mapped[int]
    usage: Mapped[dict[str, Any] | None]
    timings: Mapped[dict[str, Any] | None]
    echo: Mapped[dict[str, Any]]
    pieces: Mapped[dict[str, Any] | None]


class CompletionRow(Base):
    """A stored chat completion: its request's messages, and the answer as it was sent."""

    __tablename__ = "completions"
    __table_args__ = (Index("completions_by_age", "owner", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    created_at: Mapped[float]
    model: Mapped[str]
    meta: Mapped[dict[str, Any]]
    messages: Mapped[list[dict[str, Any]]]
    body: Mapped[dict[str, Any]]


class WorkerRow(Base):
    """The processes that use the database now, and when each last wrote."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(primary_key=True)
    seen_at: Mapped[float]
