"""Stored chat completions."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, delete, insert, select, tuple_, update

from app.storage.conversations import missing
from app.storage.database import Database
from app.storage.records import Completion, Listed, Page
from app.storage.tables import CompletionRow


class CompletionStore:
    """Raises StoreUnavailable, and StoredNotFound for what is not there or somebody else's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def check(self) -> None:
        """Raises StoreUnavailable where nothing could be stored now."""
        self._database.check()

    async def create(self, owner: str, completion: Completion) -> None:
        async with self._database.writing() as connection:
            await connection.execute(
                insert(CompletionRow).values(
                    id=completion.id,
                    owner=owner,
                    created_at=completion.created_at,
                    model=completion.model,
                    meta=dict(completion.metadata),
                    messages=[dict(message) for message in completion.messages],
                    body=dict(completion.body),
                )
            )

    async def read(self, owner: str, identifier: str) -> Completion:
        where = CompletionRow.owner == owner, CompletionRow.id == identifier
        async with self._database.reading() as connection:
            row = (await connection.execute(select(CompletionRow).where(*where))).one_or_none()
        if row is None:
            raise missing("chat completion", identifier)
        return _read(row)

    async def change(self, owner: str, identifier: str, metadata: Mapping[str, str]) -> Completion:
        where = CompletionRow.owner == owner, CompletionRow.id == identifier
        async with self._database.writing() as connection:
            await connection.execute(
                update(CompletionRow).where(*where).values(meta=dict(metadata))
            )
        return await self.read(owner, identifier)

    async def delete(self, owner: str, identifier: str) -> None:
        where = CompletionRow.owner == owner, CompletionRow.id == identifier
        async with self._database.writing() as connection:
            gone = await connection.execute(delete(CompletionRow).where(*where))
        if not gone.rowcount:
            raise missing("chat completion", identifier)

    async def all(
        self, owner: str, page: Page, model: str | None, metadata: Mapping[str, str]
    ) -> Listed[Completion]:
        """By age; only those of `model`, and with all of `metadata`."""
        where = [CompletionRow.owner == owner]
        if model is not None:
            where.append(CompletionRow.model == model)
        where += [CompletionRow.meta[key].as_string() == value for key, value in metadata.items()]
        place = tuple_(CompletionRow.created_at, CompletionRow.id)
        columns = (CompletionRow.created_at, CompletionRow.id)
        order = [column.desc() if page.is_descending else column.asc() for column in columns]
        async with self._database.reading() as connection:
            if page.after is not None:
                query = select(CompletionRow.created_at).where(
                    CompletionRow.owner == owner, CompletionRow.id == page.after
                )
                created = await connection.scalar(query)
                if created is None:
                    raise missing("chat completion", page.after, param="after")
                mark = tuple_(created, page.after)  # pyright: ignore[reportArgumentType]  # plain values are taken
                where.append(place < mark if page.is_descending else place > mark)
            found = await connection.execute(
                select(CompletionRow).where(*where).order_by(*order).limit(page.limit + 1)
            )
            rows = [_read(row) for row in found]
        return Listed(tuple(rows[: page.limit]), len(rows) > page.limit)


def _read(row: Row[Any]) -> Completion:
    return Completion(
        id=row.id,
        created_at=row.created_at,
        model=row.model,
        metadata=row.meta,
        messages=tuple(row.messages),
        body=row.body,
    )
