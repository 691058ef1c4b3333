"""Conversations as lines, while somebody goes on with them."""

from pathlib import Path

import orjson

from app.api.openai.conversations.transfer import export_lines
from app.storage.conversations import ConversationStore
from tests.unit.storage.conftest import open_database
from tests.unit.storage.samples import ME, message


async def test_what_changes_meanwhile_aborts_nothing(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/store.db", tmp_path)
    store = ConversationStore(database)
    made = [(await store.create(ME, {}, [message("Q")])).id for _ in range(105)]
    lines = export_lines(store, ME, None)
    seen = [await anext(lines)]
    await store.delete(ME, made[50])
    await store.add(ME, made[99], [message("later")])  # the last of what was one page
    seen += [line async for line in lines]
    told = [orjson.loads(line)["conversation"]["id"] for line in seen]
    assert told == [identifier for identifier in made if identifier != made[50]]
    await database.close()
