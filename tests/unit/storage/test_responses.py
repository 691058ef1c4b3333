"""Responses: their place, what they write, how they end, what is left of a dead process."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from app.core.errors import BadRequest, StoredNotFound
from app.core.items import Item, MessageItem, ThoughtItem
from app.core.usage import Usage
from app.storage.conversations import ConversationStore
from app.storage.database import Database
from app.storage.records import Page, ResponseError, StoredItem, Timings
from app.storage.responses import Progress, ResponseStore
from app.storage.workers import Workers, make_workers
from tests.unit.storage.samples import ME, YOU, answer, message, response, thought

ALL = Page(limit=100, is_descending=False)


@pytest.fixture
def store(database: Database) -> ResponseStore:
    return ResponseStore(database)


@pytest.fixture
def conversations(database: Database) -> ConversationStore:
    return ConversationStore(database)


def texts_of(history: Sequence[StoredItem]) -> list[str]:
    """Of the messages and thoughts."""
    items = (row.item for row in history)
    return [item.text for item in items if isinstance(item, MessageItem | ThoughtItem)]


async def test_a_response_grows_and_ends(store: ResponseStore) -> None:
    question = message("Q")
    begun = await store.create(ME, response(), [question], after=None, worker="w")
    assert begun.tail == question.id
    part = answer("Hel", "in_progress")
    await store.save([Progress(ME, replace(begun, status="in_progress"), begun.tail, [part])])
    found, output = await store.read(ME, begun.id)
    assert (found.status, output) == ("in_progress", (part,))
    whole = replace(part, parts=answer("Hello").parts, status="completed")
    ended = replace(
        begun,
        status="completed",
        completed_at=2.0,
        usage=Usage(3, 2),
        timings=Timings(0.1, 0.2, 0.3, 40.0),
        last_event=9,
    )
    assert await store.save([Progress(ME, ended, part.id, changed=[whole])]) == set()
    found, output = await store.read(ME, begun.id)
    assert (found, output) == (ended, (whole,))
    assert [row.item for row in (await store.inputs(ME, begun.id, ALL)).rows] == [question]
    assert await store.end(ME, begun.id) == part.id
    assert [row.item for row in await store.history(ME, part.id)] == [question, whole]


async def test_errors_are_kept(store: ResponseStore) -> None:
    begun = await store.create(ME, response(), [message("Q")], after=None, worker="w")
    failed = replace(begun, status="failed", error=ResponseError("queue_full", "Wait."))
    await store.save([Progress(ME, failed, begun.tail)])
    found, output = await store.read(ME, begun.id)
    assert (found.error, output) == (ResponseError("queue_full", "Wait."), ())
    assert await store.end(ME, begun.id) == begun.tail


async def test_a_chain(store: ResponseStore) -> None:
    first = await store.create(ME, response(), [message("1")], after=None, worker="w")
    said = answer("one")
    await store.save([Progress(ME, replace(first, status="completed"), first.tail, [said])])
    after = await store.end(ME, first.id)
    second = await store.create(
        ME, response(previous_id=first.id), [message("2")], after=after, worker="w"
    )
    history = await store.history(ME, second.tail)
    assert texts_of(history) == ["1", "one", "2"]
    with pytest.raises(BadRequest, match="not ended yet"):
        await store.end(ME, second.id)
    with pytest.raises(BadRequest) as caught:
        await store.end(YOU, first.id)
    assert caught.value.param == "previous_response_id"
    # whoever goes on from it keeps what is his
    await store.delete(ME, first.id)
    history = await store.history(ME, second.tail)
    assert texts_of(history) == ["2"]


async def test_in_a_conversation(store: ResponseStore, conversations: ConversationStore) -> None:
    talk = await conversations.create(ME, {}, [message("0")])
    assert await store.place(ME, talk.id, None) == talk.head
    made = response(conversation_id=talk.id)
    question = message("Q")
    begun = await store.create(ME, made, [question], after=talk.head, worker="w")
    assert (await conversations.read(ME, talk.id)).head == question.id
    items: list[Item] = [thought("hm"), answer("A")]
    await store.save([Progress(ME, replace(begun, status="completed"), begun.tail, items)])
    found = await conversations.read(ME, talk.id)
    assert (found.head, found.model) == (items[1].id, "tiny")
    assert found.updated_at > talk.updated_at
    rows = (await conversations.items(ME, talk.id, ALL)).rows
    assert [row.is_output for row in rows] == [False, False, True, True]
    assert [row.response_id for row in rows] == [None, begun.id, begun.id, begun.id]
    # its items stay with the conversation, and it goes with that
    await store.delete(ME, begun.id)
    assert len((await conversations.items(ME, talk.id, ALL)).rows) == 4
    other = await store.create(ME, replace(made, id="resp_2"), [], after=items[1].id, worker="w")
    await conversations.delete(ME, talk.id)
    with pytest.raises(StoredNotFound):
        await store.read(ME, other.id)
    # what still writes for it is told to stop, and leaves nothing behind
    assert await store.save([Progress(ME, other, other.tail, [answer("late")])]) == {other.id}
    assert await store.find_items(ME, [items[1].id]) == {}


async def test_a_head_that_was_moved_is_not_taken_back(
    store: ResponseStore, conversations: ConversationStore
) -> None:
    talk = await conversations.create(ME, {}, [message("0"), answer("1")])
    begun = await store.create(
        ME, response(conversation_id=talk.id), [message("Q")], after=talk.head, worker="w"
    )
    await conversations.change(ME, talk.id, head=talk.head)
    await store.save([Progress(ME, begun, begun.tail, [answer("A")])])
    assert (await conversations.read(ME, talk.id)).head == talk.head


async def test_somebody_wants_it_cancelled(store: ResponseStore) -> None:
    begun = await store.create(ME, response(), [], after=None, worker="w")
    with pytest.raises(StoredNotFound):
        await store.ask_cancel(YOU, begun.id)
    assert await store.save([Progress(ME, begun, None)]) == set()
    await store.ask_cancel(ME, begun.id)
    assert await store.save([Progress(ME, begun, None)]) == {begun.id}


async def test_owners_see_only_their_own(store: ResponseStore) -> None:
    begun = await store.create(ME, response(), [message("Q")], after=None, worker="w")
    for forbidden in (
        store.read(YOU, begun.id),
        store.inputs(YOU, begun.id, ALL),
        store.delete(YOU, begun.id),
    ):
        with pytest.raises(StoredNotFound):
            await forbidden
    assert await store.history(YOU, begun.tail) == ()
    assert await store.find_items(YOU, [begun.tail or ""]) == {}


async def test_what_a_dead_process_left(database: Database, store: ResponseStore) -> None:
    dead, alive = make_workers(database), make_workers(database)
    await dead.join()
    await alive.join()
    begun = await store.create(
        ME, response(status="in_progress"), [message("Q")], after=None, worker=dead.own
    )
    part = answer("half an ans", "in_progress")
    await store.save([Progress(ME, begun, begun.tail, [thought("hm"), part])])
    other = await store.create(ME, response(), [message("Q")], after=None, worker=alive.own)
    assert await store.find_workers() == {dead.own, alive.own}
    assert not await dead_among(dead, alive)
    await dead.leave()
    assert await alive.is_dead(dead.own)
    assert await store.interrupt(dead.own) == 1
    found, output = await store.read(ME, begun.id)
    assert (found.status, found.reason) == ("incomplete", "interrupted")
    assert [item.status for item in output] == ["completed", "incomplete"]
    assert output[1] == replace(part, status="incomplete")
    assert (await store.read(ME, other.id))[0].status == "queued"
    assert await store.find_workers() == {alive.own}
    await alive.leave()


async def dead_among(first: Workers, second: Workers) -> bool:
    return await first.is_dead(second.own) or await second.is_dead(first.own)


async def test_what_was_changed_meanwhile_is_not_gone_on_from(
    store: ResponseStore, conversations: ConversationStore
) -> None:
    made = await conversations.create(ME, {}, [message("1"), message("2")])
    placed = response(conversation_id=made.id)
    await conversations.add(ME, made.id, [message("3")])
    with pytest.raises(BadRequest) as caught:
        await store.create(ME, placed, [], after=made.head, worker=None, is_at_head=True)
    assert caught.value.param == "conversation"
    branch = await store.create(ME, placed, [], after=made.head, worker=None)
    assert made.head is not None
    await conversations.remove_item(ME, made.id, made.head)
    with pytest.raises(BadRequest) as caught:
        await store.create(ME, replace(branch, id="r2"), [], after=made.head, worker=None)
    assert caught.value.param == "conversation.after"
    with pytest.raises(BadRequest) as caught:
        await store.create(ME, response(), [message("Q")], after=made.head, worker=None)
    assert caught.value.param == "previous_response_id"


async def test_an_answer_ends_with_what_it_is_written_to(
    conversations: ConversationStore, store: ResponseStore
) -> None:
    """Nothing hangs on an item that was deleted, and nothing of that comes back."""
    made = await conversations.create(ME, {})
    placed = response(conversation_id=made.id, status="in_progress")
    question, draft = message("Q"), answer("Hel", "in_progress")
    begun = await store.create(ME, placed, [question], after=None, worker="w")
    await store.save([Progress(ME, begun, begun.tail, [draft])])
    await conversations.remove_item(ME, made.id, draft.id)
    grown = Progress(ME, begun, draft.id, [answer("more")], [replace(draft, parts=())])
    assert await store.save([grown]) == {begun.id}
    left = await conversations.items(ME, made.id, ALL, has_branches=True)
    assert [row.item for row in left.rows] == [question]
    # and so where what it answers to is deleted
    other = await store.create(
        ME, replace(placed, id="r2"), [message("Q2")], after=question.id, worker="w"
    )
    assert other.tail is not None
    await conversations.remove_item(ME, made.id, other.tail)
    assert await store.save([Progress(ME, other, other.tail, [answer("A")])]) == {"r2"}
    assert (await conversations.read(ME, made.id)).head == question.id
