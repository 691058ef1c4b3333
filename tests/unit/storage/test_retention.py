"""What leaves by age and by size, and what stays."""

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import StoredNotFound
from app.storage import retention
from app.storage.completions import CompletionStore
from app.storage.conversations import ConversationStore
from app.storage.database import Database
from app.storage.records import Completion, Page
from app.storage.responses import Progress, ResponseStore
from app.storage.retention import Limits, Retention
from tests.unit.storage.samples import ME, answer, message, response

FOR_EVER = Limits(math.inf, math.inf, 2**40)
DAY = 86_400.0


async def age(database: Database, table: str, identifier: str, seconds: float) -> None:
    column = "updated_at" if table == "conversations" else "created_at"
    async with database.writing() as connection:
        await connection.execute(
            text(f"UPDATE {table} SET {column} = {column} - :seconds WHERE id = :id"),
            {"seconds": seconds, "id": identifier},
        )


async def is_there(store: ConversationStore, identifier: str) -> bool:
    try:
        await store.read(ME, identifier)
    except StoredNotFound:
        return False
    return True


async def test_conversations_leave_by_their_last_change(database: Database) -> None:
    store = ConversationStore(database)
    old = await store.create(ME, {}, [message("old")])
    new = await store.create(ME, {}, [message("new")])
    await age(database, "conversations", old.id, 2 * DAY)
    assert await Retention(database, FOR_EVER).apply() == 0
    assert await Retention(database, replace(FOR_EVER, conversation_age=DAY)).apply() == 1
    assert not await is_there(store, old.id)
    assert await is_there(store, new.id)


async def test_a_chain_leaves_from_its_end(database: Database) -> None:
    store = ResponseStore(database)
    chain: list[str] = []
    after: str | None = None
    for number in range(3):
        made = response(previous_id=chain[-1] if chain else None)
        begun = await store.create(ME, made, [message(str(number))], after=after, worker="w")
        await store.save(
            [Progress(ME, replace(begun, status="completed"), begun.tail, [answer("x")])]
        )
        chain.append(begun.id)
        after = await store.end(ME, begun.id)
    for identifier in chain[:2]:
        await age(database, "responses", identifier, 1e9)
    limits = replace(FOR_EVER, response_age=DAY)
    assert await Retention(database, limits).apply() == 0, "somebody goes on from it"
    await age(database, "responses", chain[2], 1e9)
    assert await Retention(database, limits).apply() == 3
    for identifier in chain:
        with pytest.raises(StoredNotFound):
            await store.read(ME, identifier)
    async with database.reading() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM items")) == 0


async def test_what_runs_stays(database: Database) -> None:
    conversations, store = ConversationStore(database), ResponseStore(database)
    talk = await conversations.create(ME, {}, [message("x" * 5000)])
    await store.create(ME, response(conversation_id=talk.id), [], after=talk.head, worker="w")
    await store.create(ME, response(), [message("x" * 5000)], after=None, worker="w")
    await age(database, "conversations", talk.id, 9 * DAY)
    assert await Retention(database, Limits(DAY, 1.0, 100)).apply() == 0


async def test_the_oldest_leave_where_there_is_too_much(database: Database) -> None:
    conversations, completions = ConversationStore(database), CompletionStore(database)
    talks = [await conversations.create(ME, {}, [message("x" * 1000)]) for _ in range(5)]
    await completions.create(ME, Completion("c", 1.0, "tiny", {}, ({"x": "y" * 1000},), {}))
    assert await Retention(database, replace(FOR_EVER, size=20_000)).apply() == 0
    # each takes a little more than a thousand bytes: the completion and two talks have to go
    assert await Retention(database, replace(FOR_EVER, size=3500)).apply() == 3
    assert [await is_there(conversations, talk.id) for talk in talks] == [
        *(False, False, True, True, True)
    ]
    assert (await completions.all(ME, Page(), None, {})).rows == ()


async def test_much_leaves_in_small_bits(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No transaction deletes more than a slice and an item, however much has to leave."""
    monkeypatch.setattr(retention, "_SLICE", 10_000)
    store = ConversationStore(database)
    texts = [f"{number} ".ljust(3_000, "x") for number in range(20)]
    for items in ([message(words) for words in texts], [message(texts[0])], [message(texts[1])]):
        made = await store.create(ME, {}, items)
        await age(database, "conversations", made.id, 2 * DAY)
    left: list[int] = []
    writing = database.writing

    @asynccontextmanager
    async def counting() -> AsyncGenerator[AsyncConnection]:
        async with writing() as connection:
            yield connection
            left.append(await connection.scalar(text("SELECT count(*) FROM items")) or 0)

    monkeypatch.setattr(database, "writing", counting)
    limits = replace(FOR_EVER, conversation_age=DAY)
    assert await Retention(database, limits).apply() == 3
    assert left[-1] == 0
    assert max(before - after for before, after in pairwise([22, *left])) <= 5
    assert len(left) <= 8


async def test_what_is_gone_on_with_meanwhile_stays(database: Database) -> None:
    store = ConversationStore(database)
    made = await store.create(ME, {}, [message("old")])
    await age(database, "conversations", made.id, 2 * DAY)
    old = retention.Limits(DAY, DAY, 2**40)
    found = await Retention(database, old)._find_expired()  # pyright: ignore[reportPrivateUsage]
    await store.add(ME, made.id, [message("new")])
    assert await Retention(database, old)._remove(found) == 0  # pyright: ignore[reportPrivateUsage]
    assert await is_there(store, made.id)
