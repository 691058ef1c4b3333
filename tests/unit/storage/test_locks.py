"""Whoever writes takes locks in one order: nobody fails because two wait for each other.

PostgreSQL only: in SQLite one writes at a time. Each statement takes a while here once it has its
locks, so that those of two transactions meet in every order.
"""

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from app.core.errors import BadRequest, StoredNotFound
from app.core.items import Item
from app.storage.conversations import ConversationStore
from app.storage.database import Database
from app.storage.records import Response
from app.storage.responses import Progress, ResponseStore
from app.storage.retention import Limits, Retention
from tests.support.postgres import Postgres
from tests.unit.storage.conftest import open_database
from tests.unit.storage.samples import ME, answer, message, response

PAUSE = 0.03
TABLES = ("conversations", "items", "responses")
_SLOW = f"""
CREATE FUNCTION wait_a_while() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_sleep({PAUSE}); RETURN NULL; END $$
"""
_TRIGGER = """
CREATE TRIGGER slow AFTER INSERT OR UPDATE OR DELETE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION wait_a_while()
"""


@pytest.fixture
async def database(postgres: Postgres, tmp_path: Path) -> AsyncIterator[Database]:
    made = await open_database(postgres.url, tmp_path, is_empty=True)
    yield made
    await made.close()


async def slow_down(database: Database) -> None:
    async with database.writing() as connection:
        await connection.execute(text(_SLOW))
        for table in TABLES:
            await connection.execute(text(_TRIGGER.format(table=table)))


class Streams:
    """Two answers that are being written, in a conversation each, or in none."""

    def __init__(self, database: Database, *, is_in_conversation: bool) -> None:
        self.database = database
        self.conversations = ConversationStore(database)
        self.responses = ResponseStore(database)
        self.begun: list[Response] = []
        self.drafts: list[Item] = []
        self.worker = secrets.token_hex(4)
        self._is_in_conversation = is_in_conversation

    async def begin(self) -> None:
        for _ in range(2):
            place = None
            if self._is_in_conversation:
                place = (await self.conversations.create(ME, {})).id
            begun = await self.responses.create(
                ME,
                response(conversation_id=place, status="in_progress"),
                [message("Q")],
                after=None,
                worker=self.worker,
            )
            draft = answer("a", "in_progress")
            await self.responses.save([Progress(ME, begun, begun.tail, [draft])])
            self.begun.append(begun)
            self.drafts.append(draft)

    def grow(self) -> list[Progress]:
        """Each draft has grown, and a call comes behind it."""
        return [
            Progress(
                ME, begun, draft.id, [answer("more")], [replace(draft, parts=answer("ab").parts)]
            )
            for begun, draft in zip(self.begun, self.drafts, strict=True)
        ]

    async def save(self) -> None:
        await self.responses.save(self.grow())

    async def save_elsewhere(self) -> None:
        """As another server would that writes into the same conversations."""
        await self.responses.save(self.grow()[::-1])

    async def delete_item(self) -> None:
        place = self.begun[0].conversation_id
        assert place is not None
        await self.conversations.remove_item(ME, place, self.drafts[0].id)

    async def delete_conversation(self) -> None:
        place = self.begun[0].conversation_id
        assert place is not None
        await self.conversations.delete(ME, place)

    async def delete_response(self) -> None:
        await self.responses.delete(ME, self.begun[0].id)

    async def delete_by_age(self) -> None:
        await Retention(self.database, Limits(-1000.0, -1000.0, 2**40)).apply()

    async def interrupt(self) -> None:
        await self.responses.interrupt(self.worker)

    async def go_on(self) -> None:
        """Another question at the same place."""
        placed = response(conversation_id=self.begun[0].conversation_id)
        await self.responses.create(ME, placed, [message("Q2")], after=None, worker=self.worker)


Act = Callable[[Streams], Awaitable[None]]
IN_CONVERSATIONS: tuple[Act, ...] = (
    Streams.save,
    Streams.save_elsewhere,
    Streams.delete_item,
    Streams.delete_conversation,
    Streams.delete_response,
    Streams.delete_by_age,
    Streams.interrupt,
    Streams.go_on,
)
ALONE = tuple(
    act
    for act in IN_CONVERSATIONS
    if act not in {Streams.delete_item, Streams.delete_conversation, Streams.go_on}
)


@pytest.mark.parametrize(("is_in_conversation", "acts"), [(True, IN_CONVERSATIONS), (False, ALONE)])
async def test_nobody_waits_for_who_waits_for_him(
    database: Database, is_in_conversation: bool, acts: tuple[Act, ...]
) -> None:
    pairs = itertools.product(itertools.combinations(acts, 2), (0.5, 1.5, 2.5))
    tries = [(Streams(database, is_in_conversation=is_in_conversation), *pair) for pair in pairs]
    for streams, _, _ in tries:
        await streams.begin()
    await slow_down(database)
    room = asyncio.Semaphore(6)

    async def act(what: Act, streams: Streams, after: float) -> None:
        await asyncio.sleep(after)
        with contextlib.suppress(StoredNotFound, BadRequest):  # the other one has deleted it
            await what(streams)

    async def attempt(streams: Streams, one: Act, other: Act, head_start: float) -> None:
        async with room, asyncio.TaskGroup() as tasks:
            tasks.create_task(act(one, streams, 0))
            tasks.create_task(act(other, streams, head_start * PAUSE))

    async with asyncio.TaskGroup() as tasks:
        for streams, (one, other), head_start in tries:
            tasks.create_task(attempt(streams, one, other, head_start))
