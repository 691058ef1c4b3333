"""Conversations: trees of items, heads, lists, searches, owners; deleted is gone."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from app.core.errors import BadRequest, StoredNotFound
from app.core.items import ContentPart, MessageItem
from app.storage.conversations import ConversationStore
from app.storage.database import Database
from app.storage.records import Conversation, Page, StoredItem
from app.storage.retention import Limits, Retention
from tests.unit.storage.conftest import open_database
from tests.unit.storage.samples import ME, YOU, answer, call, message, result, thought

FIRST = Page(limit=100, is_descending=False)
LAST = Page(limit=100)


@pytest.fixture
def store(database: Database) -> ConversationStore:
    return ConversationStore(database)


def texts(rows: tuple[StoredItem, ...]) -> list[str]:
    return [row.item.text for row in rows if isinstance(row.item, MessageItem)]


async def test_items_come_back_as_they_were(store: ConversationStore) -> None:
    called = call()
    refusal = MessageItem("msg_r", "assistant", (ContentPart("No."), ContentPart("x", True)))
    items = [message("Grüße 🌍"), thought("hm"), called, result(called), answer("Ça va"), refusal]
    made = await store.create(ME, {"title": "T"}, items)
    listed = await store.items(ME, made.id, FIRST)
    assert [row.item for row in listed.rows] == items
    assert [row.parent_id for row in listed.rows] == [None, *(item.id for item in items[:-1])]
    assert made.head == refusal.id
    assert made.metadata == {"title": "T"}
    assert made.preview == "Grüße 🌍"
    found = await store.item(ME, made.id, called.id)
    assert found.item == called


async def test_nul_characters_are_shown_as_unknown(store: ConversationStore) -> None:
    made = await store.create(ME, {}, [answer("a\0b")])
    listed = await store.items(ME, made.id, FIRST)
    assert texts(listed.rows) == ["a\ufffdb"]


async def test_branches(store: ConversationStore) -> None:
    question, first = message("Q"), answer("A1")
    made = await store.create(ME, {}, [question, first])
    second = answer("A2")
    await store.add(ME, made.id, [second], after=question.id)
    assert texts((await store.items(ME, made.id, FIRST)).rows) == ["Q", "A2"]
    everything = await store.items(ME, made.id, FIRST, has_branches=True)
    assert texts(everything.rows) == ["Q", "A1", "A2"]
    changed = await store.change(ME, made.id, head=first.id)
    assert changed.head == first.id
    assert texts((await store.items(ME, made.id, FIRST)).rows) == ["Q", "A1"]
    with pytest.raises(BadRequest, match="There is no item") as caught:
        await store.change(ME, made.id, head="msg_x")
    assert caught.value.param == "head"


async def test_pages_of_items(store: ConversationStore) -> None:
    items = [message(str(number)) for number in range(7)]
    made = await store.create(ME, {}, items)
    for is_descending in (False, True):
        seen: list[str] = []
        after: str | None = None
        while True:
            listed = await store.items(ME, made.id, Page(3, after, is_descending))
            seen += texts(listed.rows)
            after = listed.rows[-1].item.id
            if not listed.has_more:
                break
        expected = [str(number) for number in range(7)]
        assert seen == (expected[::-1] if is_descending else expected)
    with pytest.raises(BadRequest) as caught:
        await store.items(ME, made.id, Page(3, "msg_x"))
    assert caught.value.param == "after"


async def test_a_deleted_item_leaves_no_gap(store: ConversationStore) -> None:
    items = [message("1"), answer("2"), message("3")]
    made = await store.create(ME, {}, items)
    left = await store.remove_item(ME, made.id, items[1].id)
    assert left.head == items[2].id
    assert texts((await store.items(ME, made.id, FIRST)).rows) == ["1", "3"]
    left = await store.remove_item(ME, made.id, items[2].id)
    assert left.head == items[0].id
    with pytest.raises(StoredNotFound):
        await store.item(ME, made.id, items[2].id)


async def test_lists_are_ordered_by_change(store: ConversationStore) -> None:
    made = [await store.create(ME, {}, [message(str(number))]) for number in range(5)]
    await store.add(ME, made[1].id, [answer("more")])
    newest = await store.all(ME, Page(2))
    assert [row.id for row in newest.rows] == [made[1].id, made[4].id]
    assert newest.has_more
    rest = await store.all(ME, Page(10, after=made[4].id))
    assert [row.id for row in rest.rows] == [made[3].id, made[2].id, made[0].id]
    assert not rest.has_more
    oldest = await store.all(ME, Page(1, is_descending=False))
    assert [row.id for row in oldest.rows] == [made[0].id]
    with pytest.raises(BadRequest):
        await store.all(ME, Page(1, after="conv_x"))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("andes", ["Animals"]),
        ("ANDES anim", ["Animals"]),
        ("capital", ["Cities"]),
        ("cities", ["Cities"]),
        ("llama paris", []),
        ("rome", ["Cities"]),
        ("get_weather", ["Cities"]),
        ("secret thought", []),
        ('"OR" AND (', []),
        ("an*", ["Animals"]),
        ("ities", ["Cities"]),
        ("%", []),
        ("'; DROP TABLE items; --", []),
    ],
)
async def test_search(store: ConversationStore, query: str, found: list[str]) -> None:
    await store.create(ME, {"title": "Animals"}, [message("A llama is an animal of the Andes.")])
    called = call()
    items = [message("The capital of France?"), thought("secret thought"), called, result(called)]
    await store.create(ME, {"title": "Cities"}, items)
    await store.create(YOU, {"title": "Cities"}, [message("capital Andes llama rome")])
    listed = await store.all(ME, LAST, query)
    assert [row.metadata["title"] for row in listed.rows] == found


async def test_a_search_shows_where(store: ConversationStore) -> None:
    long = "word " * 200 + "the needle is here " + "word " * 200
    await store.create(ME, {}, [message("hay"), answer(long)])
    listed = await store.all(ME, LAST, "needle")
    snippet = listed.rows[0].snippet
    assert snippet is not None
    assert "needle" in snippet
    assert len(snippet) < 200


async def test_owners_see_only_their_own(store: ConversationStore) -> None:
    made = await store.create(ME, {}, [message("mine")])
    item = made.head or ""
    assert (await store.all(YOU, LAST)).rows == ()
    for forbidden in (
        store.read(YOU, made.id),
        store.delete(YOU, made.id),
        store.change(YOU, made.id, metadata={}),
        store.items(YOU, made.id, LAST),
        store.item(YOU, made.id, item),
        store.add(YOU, made.id, [message("x")]),
        store.remove_item(YOU, made.id, item),
        store.whole(YOU, made.id),
    ):
        with pytest.raises(StoredNotFound):
            await forbidden
    theirs = await store.create(YOU, {}, [message("theirs")])
    with pytest.raises(BadRequest):
        await store.add(YOU, theirs.id, [message("x")], after=item)
    with pytest.raises(BadRequest):
        await store.change(YOU, theirs.id, head=item)
    assert texts((await store.items(ME, made.id, LAST)).rows) == ["mine"]


async def test_a_conversation_moves_as_a_whole(store: ConversationStore) -> None:
    items = [message("Q"), answer("A")]
    made = await store.create(ME, {"title": "T"}, items)
    conversation, rows = await store.whole(ME, made.id)
    await store.delete(ME, made.id)
    again = await store.insert(YOU, conversation, rows)
    assert again == Conversation(
        made.id, made.created_at, made.updated_at, {"title": "T"}, items[1].id, None, "Q"
    )
    assert texts((await store.items(YOU, made.id, FIRST)).rows) == ["Q", "A"]


async def test_deleted_is_gone_from_the_files(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/store.db", tmp_path)
    store = ConversationStore(database)
    kept = await store.create(ME, {}, [message("keepsake " * 50)])
    secret = "xylophone " * 400
    made = await store.create(ME, {"title": "xylophone"}, [message(secret), answer("xylophone")])
    other = await store.create(ME, {}, [message("xylophone"), message("fine")])
    assert b"xylophone" in _bytes_in(tmp_path)
    await store.delete(ME, made.id)
    item = (await store.items(ME, other.id, FIRST)).rows[0].item
    await store.remove_item(ME, other.id, item.id)
    await store.add(ME, other.id, [message("new")])
    await Retention(database, Limits(1e9, 1e9, 2**40)).scrub()
    assert (await store.all(ME, LAST, "xylophone")).rows == ()
    async with database.writing() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO items_search(items_search) VALUES('integrity-check')"
        )
    everything = _bytes_in(tmp_path)
    assert b"xylophone" not in everything
    assert b"keepsake" in everything
    assert (await store.read(ME, kept.id)).preview is not None
    await database.close()


def _bytes_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("store.db*"))


async def test_nothing_is_lost_where_many_append(store: ConversationStore) -> None:
    made = await store.create(ME, {})
    texts_given = [str(number) for number in range(6)]
    await asyncio.gather(*(store.add(ME, made.id, [message(text)]) for text in texts_given))
    page = Page(limit=100, is_descending=False)
    assert sorted(texts((await store.items(ME, made.id, page)).rows)) == texts_given


async def test_titles_are_found_in_any_case(tmp_path: Path) -> None:
    """In PostgreSQL it is the locale of the database that says what that is."""
    database = await open_database(f"sqlite:///{tmp_path}/store.db", tmp_path)
    store = ConversationStore(database)
    made = await store.create(ME, {"title": "ÜBER ÉTÉ"})
    for query in ("über", "ÉTÉ", "Ber é"):
        assert [row.id for row in (await store.all(ME, LAST, query)).rows] == [made.id]
    await database.close()


async def test_a_long_conversation_from_elsewhere_is_whole_or_not_there(
    store: ConversationStore,
) -> None:
    rows = [StoredItem(message(str(number)), None, 1.0) for number in range(1201)]
    rows = [replace(row, parent_id=above) for row, above in zip(rows, ids_above(rows), strict=True)]
    given = Conversation("conv_long", 1.0, 2.0, {}, rows[-1].item.id, None)
    await store.insert(ME, given, rows)
    conversation, stored = await store.whole(ME, given.id)
    assert conversation.head == rows[-1].item.id
    assert [row.parent_id for row in stored] == ids_above(rows)
    copies = [replace(row, item=message("copy")) for row in rows[:600]]
    with pytest.raises(IntegrityError):  # one is there twice, in the second transaction
        await store.insert(ME, replace(given, id="conv_bad"), [*copies, copies[-1]])
    with pytest.raises(StoredNotFound):
        await store.read(ME, "conv_bad")


def ids_above(rows: list[StoredItem]) -> list[str | None]:
    return [None, *(row.item.id for row in rows[:-1])]
