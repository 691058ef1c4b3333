"""The trees of items: statements on a connection that somebody else has opened."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import delete, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.items import Item, words_of
from app.storage.codec import clean, decode_item, encode_content, kind_of
from app.storage.records import Listed, Page, StoredItem
from app.storage.tables import AnyRow, ItemRow

_COLUMNS = (
    ItemRow.id,
    ItemRow.kind,
    ItemRow.status,
    ItemRow.content,
    ItemRow.parent_id,
    ItemRow.created_at,
    ItemRow.response_id,
    ItemRow.is_output,
    ItemRow.model,
    ItemRow.conversation_id,
)


async def add_items(
    connection: AsyncConnection,
    owner: str,
    items: Sequence[Item],
    *,
    parent: str | None,
    conversation: str | None = None,
    response: str | None = None,
    is_output: bool = False,
    model: str | None = None,
) -> str | None:
    """One behind the other, the first behind `parent`. The last one's identifier, or `parent`."""
    rows: list[dict[str, Any]] = []
    at = time.time()
    for item in items:
        stored = StoredItem(item, parent, at, response, is_output, model, conversation)
        rows.append(_write(owner, stored))
        parent = item.id
    if rows:
        await connection.execute(insert(ItemRow), rows)
    return parent


async def insert_items(
    connection: AsyncConnection, owner: str, items: Sequence[StoredItem]
) -> None:
    """As they are."""
    if items:
        await connection.execute(insert(ItemRow), [_write(owner, stored) for stored in items])


async def change_item(connection: AsyncConnection, item: Item) -> bool:
    """What is written of an item so far, or all of it. False where it was deleted meanwhile."""
    values: dict[str, Any] = {"status": item.status, "content": encode_content(item)}
    if item.status != "in_progress":
        values["words"] = clean(words_of(item))
    changed = await connection.execute(update(ItemRow).where(ItemRow.id == item.id).values(values))
    return changed.rowcount > 0


async def has_item(connection: AsyncConnection, identifier: str) -> bool:
    return await connection.scalar(select(ItemRow.seq).where(ItemRow.id == identifier)) is not None


async def read_path(
    connection: AsyncConnection, owner: str, leaf: str | None
) -> tuple[StoredItem, ...]:
    """From the root to `leaf`; empty where there is no such item."""
    if leaf is None:
        return ()
    path = _walk(owner, leaf)
    query = select(*_COLUMNS).join(path, ItemRow.id == path.c.id).order_by(path.c.depth.desc())
    return _read((await connection.execute(query)).all())


async def read_item(connection: AsyncConnection, owner: str, identifier: str) -> StoredItem | None:
    query = select(*_COLUMNS).where(ItemRow.owner == owner, ItemRow.id == identifier)
    row = (await connection.execute(query)).one_or_none()
    return _read([row])[0] if row is not None else None


async def read_items(connection: AsyncConnection, query_ids: Sequence[str]) -> list[StoredItem]:
    """In the order of `query_ids`; those that are not there are left out."""
    query = select(*_COLUMNS).where(ItemRow.id.in_(query_ids))
    found = {stored.item.id: stored for stored in _read((await connection.execute(query)).all())}
    return [found[identifier] for identifier in query_ids if identifier in found]


async def list_path(
    connection: AsyncConnection, owner: str, leaf: str | None, page: Page
) -> Listed[StoredItem] | None:
    """A part of the path to `leaf`; None where `page.after` is not on it."""
    path = _walk(owner, leaf or "")
    ids = (await connection.scalars(select(path.c.id).order_by(path.c.depth))).all()
    return await list_among(connection, list(ids)[::-1], page)


async def list_all(
    connection: AsyncConnection, conversation: str, page: Page
) -> Listed[StoredItem] | None:
    """A part of all branches, in the order in which they were written."""
    query = select(ItemRow.id).where(ItemRow.conversation_id == conversation)
    ids = (await connection.scalars(query.order_by(ItemRow.seq))).all()
    return await list_among(connection, list(ids), page)


async def list_among(
    connection: AsyncConnection, ids: list[str], page: Page
) -> Listed[StoredItem] | None:
    """A page of `ids`, which are in ascending order; None where `page.after` is none of them."""
    if page.is_descending:
        ids = [*reversed(ids)]
    if page.after is not None:
        if page.after not in ids:
            return None
        ids = ids[ids.index(page.after) + 1 :]
    wanted = ids[: page.limit]
    rows = await read_items(connection, wanted)
    return Listed(tuple(rows), len(ids) > len(wanted))


async def remove_items(connection: AsyncConnection, ids: Iterable[str]) -> None:
    """Delete items one by one; what hung on each hangs on its parent from then on."""
    for identifier in ids:
        parent = select(ItemRow.parent_id).where(ItemRow.id == identifier)
        above = await connection.scalar(parent)
        await connection.execute(
            update(ItemRow).where(ItemRow.parent_id == identifier).values(parent_id=above)
        )
        await connection.execute(delete(ItemRow).where(ItemRow.id == identifier))


def _walk(owner: str, leaf: str) -> Any:
    """The path up from `leaf`: identifiers, each with its distance."""
    start = (
        select(ItemRow.id, ItemRow.parent_id, literal(0).label("depth"))
        .where(ItemRow.owner == owner, ItemRow.id == leaf)
        .cte("path", recursive=True)
    )
    above = select(ItemRow.id, ItemRow.parent_id, start.c.depth + 1).join(
        start, ItemRow.id == start.c.parent_id
    )
    return start.union_all(above)


def _write(owner: str, stored: StoredItem) -> dict[str, Any]:
    """Words of what is still being written are found once it is whole."""
    item = stored.item
    return {
        "id": item.id,
        "owner": owner,
        "conversation_id": stored.conversation_id,
        "response_id": stored.response_id,
        "is_output": stored.is_output,
        "parent_id": stored.parent_id,
        "created_at": stored.created_at,
        "kind": kind_of(item),
        "status": item.status,
        "model": stored.model,
        "words": "" if item.status == "in_progress" else clean(words_of(item)),
        "content": encode_content(item),
    }


def _read(rows: Iterable[AnyRow]) -> tuple[StoredItem, ...]:
    return tuple(
        StoredItem(
            item=decode_item(row.id, row.kind, row.status, row.content),
            parent_id=row.parent_id,
            created_at=row.created_at,
            response_id=row.response_id,
            is_output=row.is_output,
            model=row.model,
            conversation_id=row.conversation_id,
        )
        for row in rows
    )
