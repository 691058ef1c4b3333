"""Runs and their journal: what starts badly, is stopped meanwhile, cannot be written."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from app.core.errors import ModelNotFound
from app.core.ids import make_id
from app.core.items import Item
from app.services.responses.assembly import Assembly
from app.services.responses.journal import Journal
from app.services.responses.run import Run
from app.services.running import Generation
from app.storage.database import Database
from app.storage.records import Response
from app.storage.responses import ResponseStore
from tests.unit.storage.conftest import open_database
from tests.unit.storage.samples import ME, message, response


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    made = await open_database(f"sqlite:///{tmp_path}/store.db", tmp_path)
    yield made
    await made.close()


@pytest.fixture
def store(database: Database) -> ResponseStore:
    return ResponseStore(database)


async def begin(store: ResponseStore, journal: Journal, items: Sequence[Item] = ()) -> Run:
    made = response(status="queued", is_background=True)
    begun = await store.create(ME, made, items, after=None, worker=None)
    run = make_run(begun, journal)
    run.begin(fail())
    return run


def make_run(begun: Response, journal: Journal) -> Run:
    plain = Assembly({}, is_summary=False, hides_thoughts=False, wants_logprobs=False)
    return Run(ME, begun, plain, journal)


async def fail() -> Generation:
    raise ModelNotFound("There is no such model.")


async def test_who_is_stopped_while_its_end_is_written_ends(
    database: Database, store: ResponseStore
) -> None:
    journal = Journal(store)
    run = await begin(store, journal, [message("Q")])
    async with database.writing():  # nobody else writes now
        await asyncio.sleep(0.05)
        run.stop("cancelled")
        await asyncio.sleep(0.05)
    await asyncio.wait_for(run.wait(), 10)
    assert run.is_over
    found, _ = await store.read(ME, run.response.id)
    assert found.status == run.response.status == "failed"


async def test_who_is_stopped_before_its_start_ends(store: ResponseStore) -> None:
    run = await begin(store, Journal(store))
    run.stop("cancelled")
    await asyncio.wait_for(run.wait(), 10)
    assert (run.is_over, run.response.status) == (True, "cancelled")


async def test_a_write_that_is_cut_off_is_made_up_for(
    database: Database, store: ResponseStore
) -> None:
    journal = Journal(store)
    run = await begin(store, journal)
    await run.wait()
    run.response = replace(run.response, reason="later")
    async with database.writing():
        flushing = asyncio.create_task(journal.flush(run))
        await asyncio.sleep(0.05)
        flushing.cancel()
        await asyncio.gather(flushing, return_exceptions=True)
    journal.start()
    journal.finish(run)
    await asyncio.sleep(0.3)
    await journal.close()
    assert (await store.read(ME, run.response.id))[0].reason == "later"


async def test_one_that_cannot_be_written_takes_no_other_with_it(store: ResponseStore) -> None:
    journal = Journal(store)
    good, bad = [await begin(store, journal) for _ in range(2)]
    await asyncio.gather(good.wait(), bad.wait())
    bad.response = replace(bad.response, reason=object())  # pyright: ignore[reportArgumentType]
    good.response = replace(good.response, reason=make_id("r_"))
    journal.note(bad)
    assert await journal.flush(good)
    assert not await journal.flush(bad)
    found, _ = await store.read(ME, good.response.id)
    assert found == replace(good.response, pieces={})
