"""What is kept for how long, how much of it, and that what is deleted is gone."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Float,
    String,
    Text,
    cast,
    delete,
    exists,
    func,
    literal,
    select,
    text,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from app.core.items import RUNNING
from app.storage.conversations import remove_conversation
from app.storage.database import Database
from app.storage.responses import remove_response
from app.storage.tables import CompletionRow, ConversationRow, ItemRow, ResponseRow

_CHUNK = 200
"""Rows looked for at once."""
_SLICE = 1024**2
"""Bytes deleted in one transaction, so that nobody waits long for their turn."""
_MERGED_PAGES = 256
_CHANGES = 2
"""A merge that changed fewer rows had nothing to do, says SQLite."""
_PATIENCE = 300.0
"""Seconds for looking at everything."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Ages in seconds, infinite for ever: of conversations since their last change, of responses
    without one and of chat completions since they were made. `size`: bytes of all together."""

    conversation_age: float
    response_age: float
    size: int


@dataclass(frozen=True, slots=True)
class _Old:
    """Something that may leave: of which table, how many bytes it has, and since when it is as it
    is."""

    kind: str
    id: str
    size: int
    at: float


class Retention:
    """Deletes what is older than it may be, and the oldest where there is too much."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits

    async def apply(self) -> int:
        """How many conversations, responses and completions were deleted."""
        deleted = 0
        while removed := await self._remove(await self._find_expired()):
            deleted += removed
        while removed := await self._remove(await self._find_excess()):
            deleted += removed
        return deleted

    async def scrub(self) -> None:
        """Have what was deleted disappear from SQLite's files too.

        Freed pages were overwritten already; here the search forgets its deleted entries, the
        write-ahead log is emptied, and free pages are given back.
        """
        if not self._database.is_sqlite:
            return
        step = -_MERGED_PAGES  # the first one says that everything is to be merged
        while await self._merge(step):
            step = _MERGED_PAGES
        connection = await self._database.connect()
        try:
            raw = (await connection.get_raw_connection()).driver_connection
            if raw is not None:
                for statement in ("incremental_vacuum", "wal_checkpoint(TRUNCATE)"):
                    cursor = await raw.execute(f"PRAGMA {statement}")
                    await cursor.fetchall()
                    await cursor.close()
        finally:
            await connection.close()

    async def _merge(self, pages: int) -> bool:
        """A part of the search's index, so that no writer waits for long. Whether more is left."""
        count = text("SELECT total_changes()")
        merge = text("INSERT INTO items_search(items_search, rank) VALUES('merge', :pages)")
        async with self._database.writing() as connection:
            before = await connection.scalar(count)
            await connection.execute(merge, {"pages": pages})
            return (await connection.scalar(count) or 0) - (before or 0) >= _CHANGES

    async def _find_expired(self) -> list[_Old]:
        now = time.time()
        found: list[_Old] = []
        ages = (
            (_conversations(), self._limits.conversation_age),
            (_responses(), self._limits.response_age),
            (_completions(), self._limits.response_age),
        )
        async with self._database.reading(_PATIENCE) as connection:
            for query, age in ages:
                if math.isfinite(age):
                    old = query.subquery()
                    rows = select(old).where(old.c.at < now - age)
                    found += await _fetch(connection, rows.limit(_CHUNK))
        return found

    async def _find_excess(self) -> list[_Old]:
        everything = union_all(_conversations(), _responses(), _completions()).subquery()
        async with self._database.reading(_PATIENCE) as connection:
            total = (await connection.scalar(select(func.sum(everything.c.size)))) or 0
            self._database.meter.note_size(total)
            excess = total - self._limits.size
            if excess <= 0:
                return []
            query = select(everything).order_by(everything.c.at)
            oldest = await _fetch(connection, query.limit(_CHUNK))
        leaving: list[_Old] = []
        for old in oldest:
            if excess <= 0:
                break
            leaving.append(old)
            excess -= old.size
        return leaving

    async def _remove(self, leaving: Sequence[_Old]) -> int:
        """How many are gone; what was changed since it was found stays."""
        removed, left = 0, list(leaving)
        while left:
            if left[0].kind == "conversation" and left[0].size > _SLICE:
                await self._empty(left[0])
            gone: list[str] = []
            async with self._database.writing() as connection:
                room = _SLICE
                while left and room > 0:
                    old = left.pop(0)
                    room -= old.size
                    if await _delete(connection, old):
                        gone.append(old.kind)
                    if left and left[0].size > room:
                        break
            for kind in gone:
                self._database.meter.count_deleted(kind)
            removed += len(gone)
        return removed

    async def _empty(self, old: _Old) -> None:
        """Delete the items of a large conversation bit by bit, the oldest first: until all are
        gone its head has a path."""
        sizes = select(ItemRow.seq, _length(ItemRow.content)).where(
            ItemRow.conversation_id == old.id
        )
        async with self._database.reading(_PATIENCE) as connection:
            rows = (await connection.execute(sizes.order_by(ItemRow.seq))).all()
        size = 0
        for seq, length in rows:
            size += length
            if size < _SLICE:
                continue
            size = 0
            async with self._database.writing() as connection:
                if not await _is_as_found(connection, old):
                    return
                items = delete(ItemRow).where(ItemRow.conversation_id == old.id)
                await connection.execute(items.where(ItemRow.seq <= seq))


async def _delete(connection: AsyncConnection, old: _Old) -> bool:
    if old.kind == "response":
        await remove_response(connection, old.id, None)
    elif old.kind == "completion":
        await connection.execute(delete(CompletionRow).where(CompletionRow.id == old.id))
    elif await _is_as_found(connection, old):
        await remove_conversation(connection, old.id)
    else:
        return False
    return True


async def _is_as_found(connection: AsyncConnection, old: _Old) -> bool:
    """And stays so until the transaction ends. What somebody is changing now is not."""
    query = select(ConversationRow.id).where(
        ConversationRow.id == old.id, ConversationRow.updated_at <= old.at
    )
    return await connection.scalar(query.with_for_update(skip_locked=True)) is not None


def _conversations() -> Any:
    """Those in which nothing runs; an empty one takes a little too."""
    runs = exists().where(
        ResponseRow.conversation_id == ConversationRow.id, ResponseRow.status.in_(RUNNING)
    )
    size = (
        select(func.coalesce(func.sum(_length(ItemRow.content)), 0))
        .where(ItemRow.conversation_id == ConversationRow.id)
        .scalar_subquery()
    )
    return _select("conversation", ConversationRow.id, ConversationRow.updated_at, size).where(
        ~runs
    )


def _responses() -> Any:
    """Those outside conversations to which no later one refers: a chain leaves from its end."""
    later = aliased(ResponseRow)
    size = (
        select(func.coalesce(func.sum(_length(ItemRow.content)), 0))
        .where(ItemRow.response_id == ResponseRow.id)
        .scalar_subquery()
    )
    return _select("response", ResponseRow.id, ResponseRow.created_at, size).where(
        ResponseRow.conversation_id.is_(None),
        ResponseRow.status.not_in(RUNNING),
        ~exists().where(later.previous_id == ResponseRow.id),
    )


def _completions() -> Any:
    size = _length(CompletionRow.messages) + _length(CompletionRow.body)
    return _select("completion", CompletionRow.id, CompletionRow.created_at, size)


def _select(kind: str, identifier: Any, at: Any, size: Any) -> Any:
    return select(
        cast(literal(kind), String).label("kind"),
        identifier.label("id"),
        (size + 1).label("size"),
        cast(at, Float(53)).label("at"),
    )


def _length(column: Any) -> Any:
    return func.length(cast(column, Text))


async def _fetch(connection: AsyncConnection, query: Any) -> list[_Old]:
    return [_Old(*row) for row in (await connection.execute(query)).all()]
