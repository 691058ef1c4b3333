"""Conversations and their items, each owner's own."""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from sqlalchemy import and_, delete, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import BadRequest, CorralError, StoredNotFound
from app.core.ids import make_id
from app.core.items import RUNNING, Item, MessageItem
from app.storage import tree
from app.storage.codec import clean
from app.storage.database import Database
from app.storage.records import Conversation, Listed, Page, StoredItem
from app.storage.search import find_conversations, find_snippets
from app.storage.tables import AnyRow, ConversationRow, ResponseRow

PREVIEW_LENGTH = 120
_SLICE = 500
"""Items of one from elsewhere in one transaction, so that nobody waits long for their turn."""
_FIRST_ITEMS = 20
"""Among which a preview is looked for again."""

_COLUMNS = (
    ConversationRow.id,
    ConversationRow.created_at,
    ConversationRow.updated_at,
    ConversationRow.meta,
    ConversationRow.head,
    ConversationRow.model,
    ConversationRow.preview,
)


class ConversationStore:
    """Raises StoreUnavailable, and StoredNotFound for what is not there or somebody else's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def check(self) -> None:
        """Raises StoreUnavailable where nothing could be read now."""
        self._database.check()

    async def create(
        self, owner: str, metadata: Mapping[str, str], items: Sequence[Item] = ()
    ) -> Conversation:
        async with self._database.writing() as connection:
            identifier = await insert_conversation(connection, owner, metadata)
            await append(connection, owner, identifier, items, after=None)
            return await find(connection, owner, identifier)

    async def read(self, owner: str, identifier: str) -> Conversation:
        async with self._database.reading() as connection:
            return await find(connection, owner, identifier)

    async def change(
        self,
        owner: str,
        identifier: str,
        *,
        metadata: Mapping[str, str] | None = None,
        head: str | None = None,
    ) -> Conversation:
        """What is None stays. A new title or head is not a change of what was said."""
        async with self._database.writing() as connection:
            await find(connection, owner, identifier, is_locked=True)
            values: dict[str, Any] = {}
            if metadata is not None:
                values |= {"meta": dict(metadata), "title": metadata.get("title")}
            if head is not None:
                await check_item(connection, owner, identifier, head, param="head")
                values["head"] = head
            if values:
                await connection.execute(
                    update(ConversationRow).where(ConversationRow.id == identifier).values(values)
                )
            return await find(connection, owner, identifier)

    async def delete(self, owner: str, identifier: str) -> None:
        async with self._database.writing() as connection:
            await find(connection, owner, identifier, is_locked=True)
            await remove_conversation(connection, identifier)

    async def all(self, owner: str, page: Page, query: str | None = None) -> Listed[Conversation]:
        """Newest change first, unless the page is ascending; of those where a search finds
        something, with what it found."""
        async with self._database.reading() as connection:
            where = [ConversationRow.owner == owner]
            if query is not None:
                where.append(find_conversations(connection.dialect.name, owner, query))
            place = tuple_(ConversationRow.updated_at, ConversationRow.id)
            if page.after is not None:
                last = await find(connection, owner, page.after, param="after")
                mark = tuple_(last.updated_at, last.id)  # pyright: ignore[reportArgumentType]  # plain values are taken
                where.append(place < mark if page.is_descending else place > mark)
            by_change = (ConversationRow.updated_at, ConversationRow.id)
            order = [column.desc() if page.is_descending else column.asc() for column in by_change]
            rows = await connection.execute(
                select(*_COLUMNS).where(and_(*where)).order_by(*order).limit(page.limit + 1)
            )
            found = [_read(row) for row in rows]
            shown = found[: page.limit]
            if query is not None:
                ids = [conversation.id for conversation in shown]
                snippets = await find_snippets(connection, ids, query)
                shown = [replace(row, snippet=snippets.get(row.id)) for row in shown]
            return Listed(tuple(shown), len(found) > page.limit)

    async def identifiers(self, owner: str) -> tuple[str, ...]:
        """Of all, oldest change first."""
        query = select(ConversationRow.id).where(ConversationRow.owner == owner)
        async with self._database.reading() as connection:
            found = await connection.scalars(
                query.order_by(ConversationRow.updated_at, ConversationRow.id)
            )
            return tuple(found)

    async def items(
        self, owner: str, identifier: str, page: Page, *, has_branches: bool = False
    ) -> Listed[StoredItem]:
        """The path to the head, or all branches in the order in which they were written."""
        async with self._database.reading() as connection:
            conversation = await find(connection, owner, identifier)
            if has_branches:
                listed = await tree.list_all(connection, identifier, page)
            else:
                listed = await tree.list_path(connection, owner, conversation.head, page)
        if listed is None:
            raise missing("item", page.after or "", param="after")
        return listed

    async def item(self, owner: str, identifier: str, item: str) -> StoredItem:
        async with self._database.reading() as connection:
            return await check_item(connection, owner, identifier, item)

    async def add(
        self, owner: str, identifier: str, items: Sequence[Item], after: str | None = None
    ) -> tuple[StoredItem, ...]:
        """Put items behind `after`, by default behind the head, which moves to the last of them."""
        async with self._database.writing() as connection:
            conversation = await find(connection, owner, identifier, is_locked=True)
            if after is not None:
                await check_item(connection, owner, identifier, after, param="after")
            await append(connection, owner, identifier, items, after=after or conversation.head)
            return tuple(await tree.read_items(connection, [item.id for item in items]))

    async def remove_item(self, owner: str, identifier: str, item: str) -> Conversation:
        """What hung on it hangs on its parent from then on; a head on it moves there too. A
        response that came with it and still runs is to be cancelled."""
        async with self._database.writing() as connection:
            conversation = await find(connection, owner, identifier, is_locked=True)
            stored = await check_item(connection, owner, identifier, item)
            running = update(ResponseRow).where(
                ResponseRow.id == stored.response_id, ResponseRow.status.in_(RUNNING)
            )
            await connection.execute(running.values(is_cancelled=True))
            await tree.remove_items(connection, [item])
            first = Page(_FIRST_ITEMS, is_descending=False)
            left = await tree.list_all(connection, identifier, first)
            values = {"preview": preview_of([row.item for row in left.rows]) if left else None}
            if conversation.head == item:
                values["head"] = stored.parent_id
            changed = update(ConversationRow).where(ConversationRow.id == identifier)
            await connection.execute(changed.values(values))
            return await find(connection, owner, identifier)

    async def whole(
        self, owner: str, identifier: str
    ) -> tuple[Conversation, tuple[StoredItem, ...]]:
        """With all its items, parents before children."""
        async with self._database.reading() as connection:
            conversation = await find(connection, owner, identifier)
            everything = Page(limit=2**31, is_descending=False)
            listed = await tree.list_all(connection, identifier, everything)
            return conversation, listed.rows if listed else ()

    async def insert(
        self, owner: str, conversation: Conversation, items: Sequence[StoredItem]
    ) -> Conversation:
        """One from elsewhere, as it is, times included; identifiers must be new. A long one takes
        several transactions; where one fails, nothing of it stays."""
        rows = [
            replace(stored, conversation_id=conversation.id, response_id=None) for stored in items
        ]
        end = {
            "updated_at": conversation.updated_at,
            "head": conversation.head,
            "model": conversation.model,
            "preview": preview_of([stored.item for stored in items]),
        }
        changed = update(ConversationRow).where(ConversationRow.id == conversation.id)
        start = 0
        try:
            for start in range(0, len(rows) or 1, _SLICE):
                async with self._database.writing() as connection:
                    if start == 0:
                        await insert_conversation(
                            connection,
                            owner,
                            conversation.metadata,
                            conversation.id,
                            conversation.created_at,
                        )
                    await tree.insert_items(connection, owner, rows[start : start + _SLICE])
                    if start + _SLICE >= len(rows):
                        await connection.execute(changed.values(end))
            return await self.read(owner, conversation.id)
        except BaseException:
            if start > 0:
                with suppress(CorralError):
                    await self.delete(owner, conversation.id)
            raise


async def insert_conversation(
    connection: AsyncConnection,
    owner: str,
    metadata: Mapping[str, str],
    identifier: str | None = None,
    created_at: float | None = None,
) -> str:
    identifier = identifier or make_id("conv_")
    now = created_at or time.time()
    await connection.execute(
        insert(ConversationRow).values(
            id=identifier,
            owner=owner,
            created_at=now,
            updated_at=now,
            meta=dict(metadata),
            title=metadata.get("title"),
        )
    )
    return identifier


async def remove_conversation(connection: AsyncConnection, identifier: str) -> None:
    """With all that hangs on it; it must be locked."""
    responses = delete(ResponseRow).where(ResponseRow.conversation_id == identifier)
    await connection.execute(responses)
    await connection.execute(delete(ConversationRow).where(ConversationRow.id == identifier))


async def append(
    connection: AsyncConnection,
    owner: str,
    identifier: str,
    items: Sequence[Item],
    *,
    after: str | None,
    response: str | None = None,
) -> str | None:
    """Items behind `after`, with the head on the last of them."""
    last = await tree.add_items(
        connection, owner, items, parent=after, conversation=identifier, response=response
    )
    values: dict[str, Any] = {"head": last, "updated_at": time.time()}
    statement = update(ConversationRow).where(ConversationRow.id == identifier)
    await connection.execute(statement.values(values))
    if preview := preview_of(items):
        unseen = ConversationRow.preview.is_(None)
        await connection.execute(statement.where(unseen).values(preview=preview))
    return last


async def find(
    connection: AsyncConnection,
    owner: str,
    identifier: str,
    param: str | None = None,
    *,
    is_locked: bool = False,
) -> Conversation:
    """`is_locked`: until the transaction ends nobody else changes it; whoever goes by its head has
    to say so."""
    where = ConversationRow.owner == owner, ConversationRow.id == identifier
    query = select(*_COLUMNS).where(*where)
    query = query.with_for_update() if is_locked else query  # in SQLite one transaction writes
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise missing("conversation", identifier, param=param)
    return _read(row)


async def lock(connection: AsyncConnection, identifiers: Iterable[str]) -> None:
    """Nobody else changes these conversations until the transaction ends."""
    query = select(ConversationRow.id).where(ConversationRow.id.in_(identifiers))
    await connection.execute(query.order_by(ConversationRow.id).with_for_update())


async def check_item(
    connection: AsyncConnection,
    owner: str,
    conversation: str,
    identifier: str,
    param: str | None = None,
) -> StoredItem:
    """The item, where it is one of the conversation."""
    stored = await tree.read_item(connection, owner, identifier)
    if stored is None or stored.conversation_id != conversation:
        raise missing("item", identifier, param=param)
    return stored


def missing(what: str, identifier: str, param: str | None = None) -> StoredNotFound | BadRequest:
    """Of a path it is 404; of a parameter 400, which names it."""
    message = f"There is no {what} '{identifier[:80]}'."
    return StoredNotFound(message) if param is None else BadRequest(message, param=param)


def preview_of(items: Sequence[Item]) -> str | None:
    """How the first words of a user begin, on one line."""
    for item in items:
        if isinstance(item, MessageItem) and item.role == "user" and item.text.strip():
            return clean(" ".join(item.text[: 8 * PREVIEW_LENGTH].split())[:PREVIEW_LENGTH])
    return None


def _read(row: AnyRow) -> Conversation:
    return Conversation(
        id=row.id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        metadata=row.meta,
        head=row.head,
        model=row.model,
        preview=row.preview,
    )
