"""Responses: what they were made from, what they have written so far, how they ended."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, cast

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import BadRequest
from app.core.items import RUNNING, Item, ResponseStatus
from app.core.usage import Usage
from app.storage import tree
from app.storage.codec import clean
from app.storage.conversations import append, check_item, find, lock, missing
from app.storage.database import Database
from app.storage.records import Listed, Page, Response, ResponseError, StoredItem, Timings
from app.storage.tables import AnyRow, ConversationRow, ItemRow, ResponseRow

INTERRUPTED = "interrupted"

_COLUMNS = (
    ResponseRow.id,
    ResponseRow.model,
    ResponseRow.created_at,
    ResponseRow.echo,
    ResponseRow.status,
    ResponseRow.conversation_id,
    ResponseRow.previous_id,
    ResponseRow.tail,
    ResponseRow.completed_at,
    ResponseRow.reason,
    ResponseRow.error,
    ResponseRow.is_background,
    ResponseRow.last_event,
    ResponseRow.usage,
    ResponseRow.timings,
    ResponseRow.pieces,
)


_CHANGING = ("status", "reason", "error", "completed_at", "last_event", "usage", "timings")


@dataclass(slots=True)
class Progress:
    """What a running response has to write. `added` items come behind `end`, the last that was
    there before; `changed` ones have grown. `pieces` as in Response."""

    owner: str
    response: Response
    end: str | None
    added: list[Item] = field(default_factory=list[Item])
    changed: list[Item] = field(default_factory=list[Item])
    pieces: Mapping[str, Sequence[int]] | None = None


class ResponseStore:
    """Raises StoreUnavailable, and StoredNotFound for what is not there or somebody else's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def check(self) -> None:
        """Raises StoreUnavailable where nothing could be stored now."""
        self._database.check()

    async def place(self, owner: str, conversation: str, after: str | None) -> str | None:
        """The item to go on from: `after`, which must be one of the conversation, or its head.
        Raises BadRequest."""
        async with self._database.reading() as connection:
            found = await find(connection, owner, conversation, param="conversation")
            if after is None:
                return found.head
            await check_item(connection, owner, conversation, after, param="conversation.after")
            return after

    async def end(self, owner: str, identifier: str) -> str | None:
        """The last item of a response: of its output, or else of its input. Raises BadRequest."""
        async with self._database.reading() as connection:
            found = await _find(connection, owner, identifier, param="previous_response_id")
            if found.status in RUNNING:
                raise BadRequest(
                    f"The response '{identifier[:80]}' has not ended yet.",
                    param="previous_response_id",
                )
            outputs = await _list(connection, identifier, is_output=True)
            return outputs[-1].item.id if outputs else found.tail

    async def history(self, owner: str, leaf: str | None) -> tuple[StoredItem, ...]:
        """The items from the root to `leaf`."""
        async with self._database.reading() as connection:
            return await tree.read_path(connection, owner, leaf)

    async def find_items(self, owner: str, identifiers: Sequence[str]) -> dict[str, Item]:
        """Those of the owner's items that are there."""
        async with self._database.reading() as connection:
            query = select(ItemRow.id).where(ItemRow.owner == owner, ItemRow.id.in_(identifiers))
            known = (await connection.scalars(query)).all()
            return {row.item.id: row.item for row in await tree.read_items(connection, known)}

    async def create(
        self,
        owner: str,
        response: Response,
        items: Sequence[Item],
        *,
        after: str | None,
        worker: str | None,
        is_at_head: bool = False,
    ) -> Response:
        """Store a response that begins, with its input behind `after`.

        `is_at_head`: `after` was the head of its conversation. Raises BadRequest where that has
        moved since, or `after` is gone: the answer would be to something else.
        """
        async with self._database.writing() as connection:
            if response.conversation_id is None:
                if after is not None and await tree.read_item(connection, owner, after) is None:
                    raise _moved("previous_response_id")
                tail = await tree.add_items(
                    connection, owner, items, parent=after, response=response.id
                )
            else:
                found = await find(
                    connection,
                    owner,
                    response.conversation_id,
                    param="conversation",
                    is_locked=True,
                )
                if is_at_head and found.head != after:
                    raise _moved("conversation")
                if after is not None and await tree.read_item(connection, owner, after) is None:
                    raise _moved("conversation.after")
                tail = await append(
                    connection,
                    owner,
                    response.conversation_id,
                    items,
                    after=after,
                    response=response.id,
                )
            stored = replace(response, tail=tail)
            await connection.execute(
                insert(ResponseRow).values(
                    owner=owner, worker=worker, is_cancelled=False, **_encode(stored)
                )
            )
            return stored

    async def save(self, batch: Iterable[Progress]) -> set[str]:
        """Write what many responses have to write. Those that somebody wants cancelled."""
        wanted: set[str] = set()
        ordered = sorted(batch, key=lambda progress: progress.response.id)
        async with self._database.writing() as connection:
            await _lock(connection, [progress.response.conversation_id for progress in ordered])
            for progress in ordered:
                if await _save(connection, progress):
                    wanted.add(progress.response.id)
        return wanted

    async def read(self, owner: str, identifier: str) -> tuple[Response, tuple[Item, ...]]:
        """A response and its output."""
        async with self._database.reading() as connection:
            found = await _find(connection, owner, identifier)
            outputs = await _list(connection, identifier, is_output=True)
            return found, tuple(row.item for row in outputs)

    async def inputs(self, owner: str, identifier: str, page: Page) -> Listed[StoredItem]:
        async with self._database.reading() as connection:
            await _find(connection, owner, identifier)
            rows = await _list(connection, identifier, is_output=False)
            ids = [row.item.id for row in rows]
            listed = await tree.list_among(connection, ids, page)
        if listed is None:
            raise missing("item", page.after or "", param="after")
        return listed

    async def ask_cancel(self, owner: str, identifier: str) -> None:
        """Tell whichever process runs it."""
        async with self._database.writing() as connection:
            await _find(connection, owner, identifier)
            await connection.execute(
                update(ResponseRow).where(ResponseRow.id == identifier).values(is_cancelled=True)
            )

    async def delete(self, owner: str, identifier: str) -> None:
        """A response; the items too, unless they belong to a conversation."""
        async with self._database.writing() as connection:
            found = await _find(connection, owner, identifier)
            await remove_response(connection, found.id, found.conversation_id)

    async def find_workers(self) -> set[str]:
        """The processes that run something, or did when they died."""
        async with self._database.reading() as connection:
            query = select(ResponseRow.worker).where(ResponseRow.status.in_(RUNNING)).distinct()
            return {worker for worker in await connection.scalars(query) if worker is not None}

    async def interrupt(self, worker: str) -> int:
        """Mark what a dead process was writing as incomplete. How many responses those were."""
        running = ResponseRow.worker == worker, ResponseRow.status.in_(RUNNING)
        query = select(ResponseRow.id, ResponseRow.conversation_id).where(*running)
        changed = update(ResponseRow).values(
            status="incomplete", reason=INTERRUPTED, completed_at=time.time()
        )
        count = 0
        async with self._database.writing() as connection:
            rows = (await connection.execute(query.order_by(ResponseRow.id))).all()
            await _lock(connection, [row.conversation_id for row in rows])
            for row in rows:
                done = await connection.execute(changed.where(ResponseRow.id == row.id, *running))
                count += done.rowcount  # none where another process was faster
                for stored in await _list(connection, row.id, is_output=True):
                    if stored.item.status == "in_progress":
                        whole = replace(stored.item, status="incomplete")
                        await tree.change_item(connection, whole)
        return count


async def remove_response(
    connection: AsyncConnection, identifier: str, conversation: str | None
) -> None:
    await connection.execute(delete(ResponseRow).where(ResponseRow.id == identifier))
    if conversation is None:
        query = select(ItemRow.id).where(ItemRow.response_id == identifier)
        ids = (await connection.scalars(query.order_by(ItemRow.seq.desc()))).all()
        await tree.remove_items(connection, ids)


async def _lock(connection: AsyncConnection, conversations: Iterable[str | None]) -> None:
    if places := {identifier for identifier in conversations if identifier is not None}:
        await lock(connection, places)


def _moved(param: str) -> BadRequest:
    return BadRequest(
        f"What '{param}' names was changed meanwhile by somebody else; nothing is stored. Try "
        "again.",
        param=param,
    )


async def _save(connection: AsyncConnection, progress: Progress) -> bool:
    """Whether it should go on no longer: somebody has said so, or has deleted it, or what it is
    writing, or what that hangs on."""
    response = progress.response
    said = _encode(response)
    changed = (
        update(ResponseRow)
        .where(ResponseRow.id == response.id)
        .values({name: said[name] for name in _CHANGING} | {"pieces": progress.pieces})
    )
    is_cancelled = await connection.scalar(changed.returning(ResponseRow.is_cancelled))
    if is_cancelled is None:
        return True
    for item in progress.changed:
        if not await tree.change_item(connection, item):
            return True
    end = progress.end
    if progress.added and end is not None and not await tree.has_item(connection, end):
        return True
    last = await tree.add_items(
        connection,
        progress.owner,
        progress.added,
        parent=progress.end,
        conversation=response.conversation_id,
        response=response.id,
        is_output=True,
        model=response.model,
    )
    if response.conversation_id is not None:
        await _move_head(connection, response, progress.end, last)
    return is_cancelled


async def _move_head(
    connection: AsyncConnection, response: Response, old: str | None, new: str | None
) -> None:
    """Unless somebody has moved it elsewhere meanwhile."""
    touched = update(ConversationRow).where(ConversationRow.id == response.conversation_id)
    await connection.execute(touched.values(updated_at=time.time(), model=response.model))
    if new != old:
        await connection.execute(touched.where(ConversationRow.head == old).values(head=new))


async def _find(
    connection: AsyncConnection, owner: str, identifier: str, param: str | None = None
) -> Response:
    where = ResponseRow.owner == owner, ResponseRow.id == identifier
    row = (await connection.execute(select(*_COLUMNS).where(*where))).one_or_none()
    if row is None:
        raise missing("response", identifier, param=param)
    return _decode(row)


async def _list(connection: AsyncConnection, response: str, *, is_output: bool) -> list[StoredItem]:
    query = select(ItemRow.id).where(
        ItemRow.response_id == response, ItemRow.is_output.is_(is_output)
    )
    ids = (await connection.scalars(query.order_by(ItemRow.seq))).all()
    return await tree.read_items(connection, ids)


def _encode(response: Response) -> dict[str, Any]:
    error = response.error
    return {
        "id": response.id,
        "conversation_id": response.conversation_id,
        "previous_id": response.previous_id,
        "tail": response.tail,
        "created_at": response.created_at,
        "completed_at": response.completed_at,
        "status": response.status,
        "reason": response.reason,
        "error": {"code": error.code, "message": clean(error.message)} if error else None,
        "model": response.model,
        "is_background": response.is_background,
        "last_event": response.last_event,
        "usage": asdict(response.usage) if response.usage else None,
        "timings": asdict(response.timings),
        "echo": dict(response.echo),
    }


def _decode(row: AnyRow) -> Response:
    error = cast("Mapping[str, str] | None", row.error)
    return Response(
        id=row.id,
        model=row.model,
        created_at=row.created_at,
        echo=row.echo,
        status=cast("ResponseStatus", row.status),
        conversation_id=row.conversation_id,
        previous_id=row.previous_id,
        tail=row.tail,
        completed_at=row.completed_at,
        reason=row.reason,
        error=ResponseError(error["code"], error["message"]) if error else None,
        is_background=row.is_background,
        last_event=row.last_event,
        usage=Usage(**row.usage) if row.usage else None,
        timings=Timings(**cast("dict[str, float | None]", row.timings or {})),
        pieces=row.pieces,
    )
