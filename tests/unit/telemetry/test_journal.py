import asyncio

from app.telemetry.journal import Journal


def test_entries_are_numbered_and_bounded() -> None:
    journal = Journal(capacity=3)
    for status in range(5):
        journal.add({"status": status})
    assert [(entry.number, entry.line["status"]) for entry in journal.since()] == [
        (3, 2),
        (4, 3),
        (5, 4),
    ]
    assert [entry.number for entry in journal.since(4)] == [5]
    assert journal.since(5) == ()


async def test_followers_get_what_there_is_and_what_comes() -> None:
    journal = Journal()
    journal.add({"status": 1})
    entries = journal.follow()
    assert (await anext(entries)).number == 1
    waiting = asyncio.ensure_future(anext(entries))
    await asyncio.sleep(0)
    assert not waiting.done()
    journal.add({"status": 2})
    journal.add({"status": 3})
    assert (await waiting).number == 2
    assert (await anext(entries)).number == 3


async def test_who_reads_slowly_misses_entries_and_holds_up_nobody() -> None:
    journal = Journal(capacity=2)
    entries = journal.follow()
    journal.add({})
    assert (await anext(entries)).number == 1
    for _ in range(5):
        journal.add({})
    assert (await anext(entries)).number == 5
    assert (await anext(entries)).number == 6
