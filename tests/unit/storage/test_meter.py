"""What a database does can be seen in the metrics."""

import math
from pathlib import Path

import pytest

from app.core.errors import StoredNotFound, StoreUnavailable
from app.storage.address import read_address
from app.storage.conversations import ConversationStore
from app.storage.database import Database
from app.storage.retention import Limits, Retention
from app.telemetry.metrics import Metrics
from tests.support.server import Metrics as Scrape
from tests.unit.storage.conftest import empty
from tests.unit.storage.samples import ME, message


async def test_transactions_deletions_and_size(url: str, tmp_path: Path) -> None:
    metrics = Metrics()
    database = Database(read_address(url, tmp_path), metrics.store)
    metrics.store.watch(lambda: database.reason is not None)

    def value(name: str, **labels: str) -> float:
        return Scrape.parse(metrics.render()[0].decode()).value(f"corral_store_{name}", **labels)

    store = ConversationStore(database)
    with pytest.raises(StoreUnavailable):
        await store.read(ME, "conv_1")
    assert value("degraded") == 1
    assert value("transactions_total", kind="read", result="unavailable") == 1
    if not database.is_sqlite:
        await empty(url)
    await database.open()
    assert value("degraded") == 0
    await store.create(ME, {}, [message("Q" * 1000)])
    with pytest.raises(StoredNotFound):
        await store.read(ME, "conv_1")
    assert value("transactions_total", kind="write", result="ok") == 1
    assert value("transactions_total", kind="read", result="refused") == 1
    assert value("transaction_seconds_count", kind="write") == 1
    await Retention(database, Limits(math.inf, math.inf, 2**40)).apply()
    assert 1000 < value("bytes") < 2000
    await Retention(database, Limits(math.inf, math.inf, 10)).apply()
    assert value("deleted_total", kind="conversation") == 1
    assert value("bytes") == 0
    await database.close()


async def test_where_nothing_is_stored_nothing_is_degraded(tmp_path: Path) -> None:
    metrics = Metrics()
    store = ConversationStore(Database(None, metrics.store))
    with pytest.raises(StoreUnavailable):
        await store.read(ME, "conv_1")
    assert b"corral_store_transactions_total{" not in metrics.render()[0]
