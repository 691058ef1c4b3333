"""The store with real files: restarts, damage, full disks, several servers."""

import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.engine.prefix import files
from app.engine.prefix.store import ModelPrefixes, PrefixStore
from app.engine.prefix.tree import common_prefix
from tests.unit.engine.test_prefix import got, put, tokens
from tests.unit.engine.test_prefix_files import largest_file

SYSTEM = tokens(*[1] * 100)


def wait(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def opened(folder: Path, *, memory: int = 10_000, disk: int = 10**6) -> PrefixStore:
    """A store that has read its directory."""
    store = PrefixStore(memory, folder, disk)
    store.start()
    assert store.disk is not None
    assert store.disk.is_indexed.wait(10)
    return store


def model(store: PrefixStore, key: str = "m") -> ModelPrefixes:
    prefixes = store.of_model(key)
    assert prefixes is not None
    return prefixes


def settle(store: PrefixStore) -> None:
    """Until everything that was kept is written."""
    wait(lambda: not any(saved.is_unwritten or saved.pins for saved in list(store.host.kept)))


def fetched(prefixes: ModelPrefixes, ids: np.ndarray) -> list[int]:
    """The tokens that can be restored, read from disk where they must be."""
    match = prefixes.match(ids)
    reading = prefixes.read(match, lambda: None) if match.saved is not None else None
    if reading is None:
        return got(prefixes, ids)
    wait(lambda: not reading.is_pending)
    found = got(prefixes, ids) if reading.is_done else []
    prefixes.end_reading(reading)
    return found


def paths(folder: Path) -> list[Path]:
    return sorted((folder / files.FOLDER).glob("*"))


def test_a_restart_finds_what_was_kept(tmp_path: Path) -> None:
    store = opened(tmp_path)
    put(model(store), SYSTEM)
    put(model(store), tokens(*[1] * 100, 2, 2))
    settle(store)  # and is killed
    again = opened(tmp_path)
    assert model(again).stats().entries_by_tier == {"host": 0, "disk": 2}
    ids = tokens(*[1] * 100, 2, 2, 3)
    assert got(model(again), ids) == [], "nothing is read until it is wanted"
    assert fetched(model(again), ids) == ids[:-1].tolist()
    assert model(again).stats().entries_by_tier == {"host": 2, "disk": 2}
    assert fetched(model(again, "other"), ids) == []
    sizes = sum(path.stat().st_size for path in paths(tmp_path))
    assert model(again).stats().bytes_by_tier["disk"] == sizes


@pytest.mark.parametrize("seed", range(5))
def test_memory_that_holds_nothing_is_made_up_for_by_the_disk(tmp_path: Path, seed: int) -> None:
    chance = np.random.default_rng(seed)
    store = opened(tmp_path, memory=0)
    kept = list[np.ndarray]()
    for round_number in range(60):
        ids = chance.integers(1, 4, chance.integers(1, 30)).astype(np.int32)
        expected = max((common_prefix(other, ids) for other in kept), default=0)
        assert fetched(model(store), ids) == ids[:expected].tolist()
        if expected < len(ids):
            assert put(model(store), ids)
            kept.append(ids)
        settle(store)
        assert model(store).stats().bytes_by_tier["host"] == 0
        if round_number % 10 == 9:
            store = opened(tmp_path, memory=0)


@pytest.mark.parametrize("seed", range(5))
def test_the_bound_of_the_disk_holds(tmp_path: Path, seed: int) -> None:
    chance = np.random.default_rng(seed)
    store, evictions = opened(tmp_path, memory=50, disk=3000), 0
    for round_number in range(100):
        ids = chance.integers(1, 4, chance.integers(1, 30)).astype(np.int32)
        if model(store).match(ids).usable < len(ids):
            put(model(store), ids)
        again = chance.integers(1, 4, 20).astype(np.int32)
        found = fetched(model(store), again)
        assert found == again[: len(found)].tolist()
        settle(store)
        used = sum(path.stat().st_size for path in paths(tmp_path))
        assert model(store).stats().bytes_by_tier["disk"] == used <= 3000
        evictions += model(store).stats().evictions
        if round_number % 20 == 19:
            store = opened(tmp_path, memory=50, disk=3000)
    assert evictions > 0


def test_the_disk_forgets_what_was_used_least_lately_also_before_a_restart(tmp_path: Path) -> None:
    store = opened(tmp_path, memory=0, disk=1800)
    for token in (1, 2, 3):
        put(model(store), tokens(*[token] * 100))
        settle(store)
    oldest, newest = 2, 1
    past = time.time() - 100
    for path in paths(tmp_path):
        token = files.read_header(path).tokens[0]
        os.utime(path, (past, past + {oldest: 0, 3: 1, newest: 2}[int(token)]))
    again = opened(tmp_path, memory=0, disk=1800)
    put(model(again), tokens(*[4] * 100))
    settle(again)
    assert fetched(model(again), tokens(*[2] * 100)) == []
    assert fetched(model(again), tokens(*[1] * 100)) == [1] * 100


def test_uses_are_noted_in_the_files(tmp_path: Path) -> None:
    store = opened(tmp_path)
    put(model(store), SYSTEM)
    settle(store)
    (path,) = paths(tmp_path)
    os.utime(path, (0, 0))
    assert got(model(store), SYSTEM) == [1] * 100
    store.close()
    assert path.stat().st_mtime > 1


def test_nothing_leans_on_what_is_gone(tmp_path: Path) -> None:
    """A conversation of three states; the middle one is damaged."""
    store = opened(tmp_path, memory=0)
    for length in (100, 200, 300):
        put(model(store), tokens(*[1] * length))
        settle(store)
    ids = tokens(*[1] * 300)
    assert fetched(model(store), ids) == [1] * 300
    middle = next(path for path in paths(tmp_path) if files.read_header(path).start == 100)
    content = bytearray(middle.read_bytes())
    content[-1] ^= 1
    middle.write_bytes(content)
    assert fetched(model(store), ids) == [1] * 100, "what came before is there"
    assert len(paths(tmp_path)) == 1, "and what can serve nobody is deleted"
    put(model(store), ids)
    settle(store)
    assert fetched(model(store), ids) == [1] * 300


def test_a_base_that_vanished_while_nobody_looked(tmp_path: Path) -> None:
    store = opened(tmp_path)
    for length in (100, 200):
        put(model(store), tokens(*[1] * length))
    settle(store)
    next(path for path in paths(tmp_path) if files.read_header(path).start == 0).unlink()
    again = opened(tmp_path)
    assert model(again).stats().entries_by_tier["disk"] == 0
    assert paths(tmp_path) == []


def test_files_of_others_are_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = opened(tmp_path)
    put(model(store), SYSTEM)
    settle(store)
    (ours,) = paths(tmp_path)
    folder = ours.parent
    (folder / "notes.txt").write_text("mine")
    (folder / ("0" * 32 + files.SUFFIX)).write_bytes(b"corral\x00\x09" + bytes(100))
    (folder / ("1" * 32 + files.SUFFIX)).write_bytes(ours.read_bytes()[:90])  # torn by a power cut
    (folder / ("new" + files.UNFINISHED)).write_bytes(b"")
    (folder / ("old" + files.UNFINISHED)).write_bytes(b"")
    os.utime(folder / ("old" + files.UNFINISHED), (0, 0))
    (folder / "folder").mkdir()
    again = opened(tmp_path)
    left = {path.name for path in paths(tmp_path)}
    zeros = "0" * 32 + files.SUFFIX
    assert left == {ours.name, "notes.txt", zeros, "new" + files.UNFINISHED, "folder"}
    assert len([line for line in caplog.messages if "not used" in line]) == 1
    assert fetched(model(again), SYSTEM) == [1] * 100


def test_two_servers_share_a_directory(tmp_path: Path) -> None:
    chance = np.random.default_rng(1)
    stores = [opened(tmp_path, memory=60, disk=4000) for _ in range(2)]
    for number in range(200):
        store = stores[number % 2]
        ids = chance.integers(1, 4, chance.integers(1, 30)).astype(np.int32)
        found = fetched(model(store), ids)
        assert found == ids[: len(found)].tolist()
        if len(found) < len(ids):
            put(model(store), ids)
        if number % 50 == 49:
            stores[number % 2] = opened(tmp_path, memory=60, disk=4000)
    for store in stores:
        settle(store)
    for path in paths(tmp_path):
        files.read_state(path, files.digest(b"m"))


def test_a_full_disk_costs_only_the_tier(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = opened(tmp_path, memory=150)
    with largest_file(120):
        for token in range(1, 6):
            put(model(store), tokens(*[token] * 100))
            settle(store)
            assert got(model(store), tokens(*[token] * 100)) == [token] * 100
        assert model(store).stats().entries_by_tier == {"host": 1, "disk": 0}
    assert len([line for line in caplog.messages if "directory" in line]) == 1
    assert paths(tmp_path) == []


def test_a_directory_that_vanishes_costs_only_the_tier(tmp_path: Path) -> None:
    store = opened(tmp_path, memory=0)
    put(model(store), SYSTEM)
    settle(store)
    shutil.rmtree(tmp_path / files.FOLDER)
    assert fetched(model(store), SYSTEM) == []
    assert model(store).stats().entries_by_tier == {"host": 0, "disk": 0}
    put(model(store), SYSTEM)
    settle(store)
    assert fetched(model(store), SYSTEM) == [1] * 100, "it is made anew"


def test_a_directory_that_cannot_be_made(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    store = opened(tmp_path / "file")
    put(model(store), SYSTEM)
    assert got(model(store), SYSTEM) == [1] * 100
    assert len(caplog.messages) == 1


def test_only_its_owner_may_read_and_write(tmp_path: Path) -> None:
    store = opened(tmp_path / "new")
    folder = tmp_path / "new" / files.FOLDER
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o777)
    put(model(store), SYSTEM)
    settle(store)
    assert paths(tmp_path / "new") == [], "others could put states there"


def test_a_disk_that_does_not_answer_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.engine.prefix.reader._SECONDS", 0.1)
    store = opened(tmp_path, memory=0)
    put(model(store), SYSTEM)
    settle(store)
    (path,) = paths(tmp_path)
    path.unlink()
    os.mkfifo(path)  # to open it waits for somebody to write
    started = time.monotonic()
    assert fetched(model(store), SYSTEM) == []
    assert model(store).read(model(store).match(SYSTEM), lambda: None) is None, "nobody else waits"
    assert time.monotonic() - started < 5  # twice 0.1, on a machine that is busy
    os.close(os.open(path, os.O_WRONLY))  # lets the thread go


def test_the_end_writes_what_is_in_memory_only(tmp_path: Path) -> None:
    store = opened(tmp_path)
    assert store.disk is not None
    with largest_file(120):
        put(model(store), SYSTEM)
        settle(store)
    store.disk._resting_until = 0
    store.close()
    assert fetched(model(opened(tmp_path)), SYSTEM) == [1] * 100


def test_what_waits_for_the_disk_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.engine.prefix.store._BACKLOG_BYTES", 250)
    store = PrefixStore(150, tmp_path, 10**6)  # nothing is written before its start
    for token in range(1, 10):
        put(model(store), tokens(*[token] * 100))
        assert model(store).stats().bytes_by_tier["host"] <= 150 + 250
    kept = [token for token in range(1, 10) if got(model(store), tokens(*[token] * 100))]
    assert 2 <= len(kept) < 9
    store.start()
    settle(store)
    for token in kept:
        assert fetched(model(store), tokens(*[token] * 100)) == [token] * 100
    assert model(store).stats().bytes_by_tier["host"] <= 150
