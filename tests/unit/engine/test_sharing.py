"""What is computed, and what is not: no token of a common beginning twice."""

import shutil
import threading
import time
from pathlib import Path

import pytest

from app.core.errors import EngineFailed
from app.core.requests import SamplingParams
from app.engine.messages import (
    Cancel,
    EngineConfig,
    Output,
    SequenceCancelled,
    SequenceFailed,
    SequenceSpec,
    SequenceStarted,
    Submit,
)
from app.engine.prefix.store import ModelPrefixes, PrefixStore
from app.engine.prefix.tree import Match, Saved
from app.engine.runtime import Int32Array
from app.engine.worker import Worker
from tests.support.fake_runtime import FakeRuntime, answer, traits

PREFIX = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3] * 10


class Rig:
    def __init__(self, runtime: FakeRuntime, store: PrefixStore | None = None) -> None:
        self.runtime = runtime
        self.cached: dict[str, int] = {}
        self.failed: set[str] = set()
        config = EngineConfig(step_tokens=24, mixed_step_tokens=24, step_seconds=0)
        prefixes = (store or PrefixStore(10_000)).of_model("m")
        self.worker = Worker(runtime, config, self._deliver, prefixes)

    def _deliver(self, outputs: list[Output | SequenceCancelled]) -> None:
        for output in outputs:
            if isinstance(output, SequenceStarted):
                self.cached[output.id] = output.cached_tokens
            elif isinstance(output, SequenceFailed):
                self.failed.add(output.id)

    def submit(
        self, name: str, prompt: list[int], *, max_tokens: int = 4, priority: int = 0
    ) -> None:
        sampling = SamplingParams(temperature=0)
        spec = SequenceSpec(name, tuple(prompt), max_tokens, sampling, priority=priority)
        self.worker.send(Submit(spec))

    def run(self) -> None:
        while self.worker.step():
            pass


def rig(*, is_cuttable: bool = True, is_unified: bool = True) -> Rig:
    memory = traits(is_cuttable=is_cuttable, is_unified=is_unified, size=400)
    return Rig(FakeRuntime(kv_size=400, max_sequences=6, memory=memory))


@pytest.mark.parametrize("is_unified", [True, False])
@pytest.mark.parametrize("is_cuttable", [True, False])
def test_a_prefix_that_arrives_eight_times_at_once_is_computed_once(
    is_cuttable: bool, is_unified: bool
) -> None:
    r = rig(is_cuttable=is_cuttable, is_unified=is_unified)
    for index in range(8):  # two more than there are places
        r.submit(f"s{index}", [*PREFIX, index + 1, 7])
    r.run()
    assert r.worker.stats.prompt_tokens_computed == 100 + 8 * 2
    assert sorted(r.cached.values()) == [0] + [100] * 7


@pytest.mark.parametrize("is_cuttable", [True, False])
def test_the_same_prompt_many_times_computes_one_token_each(is_cuttable: bool) -> None:
    r = rig(is_cuttable=is_cuttable)
    for index in range(6):
        r.submit(f"s{index}", PREFIX)
    r.run()
    assert r.worker.stats.prompt_tokens_computed == 100 + 5


@pytest.mark.parametrize("is_cuttable", [True, False])
def test_a_chat_goes_on_from_its_last_answer(is_cuttable: bool) -> None:
    r = rig(is_cuttable=is_cuttable)
    prompt, unique = list(PREFIX), 0
    for turn in range(5):
        r.submit(f"turn{turn}", prompt, max_tokens=10)
        r.run()
        prompt += [*answer(prompt, 10), *([turn + 1] * 20)]
        unique = r.worker.stats.prompt_tokens_computed
    # the last token of an answer was never computed
    assert unique == 100 + 4 * (20 + 1)


def test_states_are_kept_where_uncuttable_prompts_were_seen_to_part() -> None:
    r = rig(is_cuttable=False)
    for name, tail in (("a", [1] * 40), ("b", [2] * 40), ("c", [4] * 40)):
        r.submit(name, [*PREFIX, *tail])
        r.run()
    assert r.cached == {"a": 0, "b": 0, "c": 100}


def test_what_is_parked_comes_back_without_computing() -> None:
    r = rig()
    r.submit("old", [1] * 150, max_tokens=120)
    r.submit("new", [2] * 150, max_tokens=100)
    r.run()
    stats = r.worker.stats
    assert stats.preemptions > 0
    assert stats.resumes == stats.preemptions
    assert stats.recomputed_tokens == 0
    # every prompt token and every answer token but the last, once
    assert r.runtime.computed == 150 + 119 + 150 + 99


@pytest.mark.parametrize("is_cuttable", [True, False])
def test_what_is_parked_with_a_shared_beginning_comes_back_without_computing(
    is_cuttable: bool,
) -> None:
    memory = traits(is_cuttable=is_cuttable, size=250)
    r = Rig(FakeRuntime(kv_size=250, max_sequences=6, memory=memory))
    for index in range(8):
        r.submit(f"s{index}", [*PREFIX, *[index + 1] * 25], max_tokens=60)
    r.run()
    stats = r.worker.stats
    assert stats.finished == {"length": 8}
    assert 0 < stats.preemptions < 16
    assert stats.recomputed_tokens == 0
    assert r.runtime.computed == 100 + 8 * (25 + 59)


def test_what_is_saved_beyond_a_live_beginning_takes_no_cells_twice() -> None:
    memory = traits(size=250)
    r = Rig(FakeRuntime(kv_size=250, max_sequences=6, memory=memory))
    for name in "abcdef":
        r.submit(name, [*PREFIX, *[ord(name) - 96] * 10])
    r.run()
    for name in "abcdef":
        r.submit(f"again {name}", [*PREFIX, *[ord(name) - 96] * 10])
    r.worker.step()
    assert [r.cached[f"again {name}"] for name in "abcdef"] == [109] * 6
    assert r.runtime.cells_used == 100 + 6 * 10


def test_nothing_is_saved_of_a_context_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    r = rig()
    r.submit("cancelled", PREFIX, max_tokens=50)
    r.submit("other", [7] * 30, max_tokens=50)
    for _ in range(8):
        r.worker.step()

    def die(n_tokens: int) -> bool:
        r.worker.send(Cancel("cancelled"))
        raise EngineFailed("status -3")

    monkeypatch.setattr(r.runtime, "decode", die)
    r.worker.run()
    assert r.failed == {"cancelled", "other"}
    assert r.runtime.saves == 0
    assert r.runtime.is_closed


def test_without_a_store_the_parked_sequence_is_computed_again() -> None:
    r = rig()
    r.worker._placement._prefixes = None
    r.submit("old", [1] * 150, max_tokens=120)
    r.submit("new", [2] * 150, max_tokens=100)
    r.run()
    assert r.worker.stats.recomputed_tokens > 150
    assert r.runtime.computed == 150 + 119 + 150 + 99 + r.worker.stats.recomputed_tokens


def test_an_urgent_request_takes_a_place_and_gives_it_back() -> None:
    r = rig()
    for index in range(6):
        r.submit(f"batch{index}", [index + 1] * 20, max_tokens=30, priority=1)
    for _ in range(8):
        r.worker.step()
    assert r.worker.stats.running == 6
    r.submit("urgent", [9] * 20, max_tokens=3)
    r.worker.step()
    assert "urgent" in r.cached
    assert r.worker.stats.parked == 1
    r.run()
    assert r.worker.stats.finished == {"length": 7}
    assert r.worker.stats.recomputed_tokens == 0


class DiskRig(Rig):
    """Memory keeps nothing, a directory all."""

    def __init__(self, folder: Path) -> None:
        memory = traits(size=400)
        self.store = PrefixStore(0, folder, 10**6)
        self.store.start()
        assert self.store.disk is not None
        assert self.store.disk.is_indexed.wait(10)
        super().__init__(FakeRuntime(kv_size=400, max_sequences=6, memory=memory), self.store)

    def run(self) -> None:
        """As the engine's thread does: asleep until it is woken, however long that takes."""
        while self.worker.step() or self.worker.stats.running:
            if self.worker._placement._readings and len(self.worker._placement._readings) == len(
                self.worker._scheduler.live
            ):
                assert self.worker._wake.wait(5), "nobody woke an idle engine"
                self.worker._wake.clear()

    def settle(self) -> None:
        deadline = time.monotonic() + 5
        while any(saved.is_unwritten or saved.pins for saved in list(self.store.host.kept)):
            assert time.monotonic() < deadline
            time.sleep(0.002)


def test_a_restart_goes_on_from_disk(tmp_path: Path) -> None:
    first = DiskRig(tmp_path)
    first.submit("a", [*PREFIX, 1, 2])
    first.run()
    first.settle()
    again = DiskRig(tmp_path)
    again.submit("b", [*PREFIX, 3, 7])
    again.run()
    stats = again.worker.stats
    assert stats.prompt_tokens_computed == 2
    assert again.cached == {"b": 100}
    assert stats.cached_tokens_by_tier == {"disk": 100}
    assert stats.cache_entries_by_tier["disk"] >= 1


def test_a_prefix_on_disk_that_is_wanted_eight_times_at_once(tmp_path: Path) -> None:
    first = DiskRig(tmp_path)
    first.submit("a", [*PREFIX, 1, 2])
    first.run()
    first.settle()
    again = DiskRig(tmp_path)
    for index in range(8):
        again.submit(f"s{index}", [*PREFIX, index + 3, 7])
    again.run()
    assert again.worker.stats.prompt_tokens_computed == 8 * 2
    assert list(again.cached.values()) == [100] * 8
    again.settle()
    assert not any(saved.pins for saved in again.store.host.kept)


def test_others_go_on_while_the_disk_is_read(tmp_path: Path) -> None:
    rig = DiskRig(tmp_path)
    rig.submit("a", PREFIX)
    rig.run()
    rig.settle()
    with rig.store.host.lock:  # nothing is read as long as this is held
        rig.submit("waits", [*PREFIX, 1])
        rig.submit("goes on", [5] * 10)
        for _ in range(8):
            rig.worker.step()
        assert rig.worker.stats.finished["length"] == 2
        assert rig.worker.stats.running == 1
    rig.run()
    assert rig.cached == {"a": 0, "waits": 100, "goes on": 0}


def test_what_comes_from_disk_while_it_is_looked_for_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = DiskRig(tmp_path)
    rig.submit("a", PREFIX)
    rig.run()
    rig.settle()
    assert rig.store.disk is not None
    reader, may_come = rig.store.disk.reader, threading.Event()
    load, match = reader._load, ModelPrefixes.match

    def load_late(saved: Saved) -> None:
        assert may_come.wait(5)
        load(saved)

    def match_late(
        prefixes: ModelPrefixes, tokens: Int32Array, *, in_memory: bool = False
    ) -> Match:
        found = match(prefixes, tokens, in_memory=in_memory)
        for reading in rig.worker._placement._readings.values():
            if in_memory:
                may_come.set()
                while reading.is_pending:
                    time.sleep(0.001)
        return found

    monkeypatch.setattr(reader, "_load", load_late)
    monkeypatch.setattr(ModelPrefixes, "match", match_late)
    rig.submit("b", [*PREFIX, 1])
    for _ in range(3):
        rig.worker.step()
    may_come.set()
    rig.run()
    assert rig.cached == {"a": 0, "b": 100}


def test_a_cancelled_sequence_lets_go_of_what_is_read_for_it(tmp_path: Path) -> None:
    rig = DiskRig(tmp_path)
    rig.submit("a", PREFIX)
    rig.run()
    rig.settle()
    with rig.store.host.lock:
        rig.submit("leaves", [*PREFIX, 1])
        rig.worker.step()
        assert rig.worker._placement._readings
        rig.worker.send(Cancel("leaves"))
        rig.worker.step()
    rig.settle()
    assert not rig.worker._placement._readings
    assert rig.store.host.used_bytes == 0


def test_a_few_tokens_are_not_worth_reading(tmp_path: Path) -> None:
    rig = DiskRig(tmp_path)
    rig.submit("a", PREFIX[:40])
    rig.run()
    rig.settle()
    rig.submit("b", [*PREFIX[:40], 1])
    rig.run()
    assert rig.cached == {"a": 0, "b": 0}


def test_a_file_that_vanished_is_computed(tmp_path: Path) -> None:
    rig = DiskRig(tmp_path)
    rig.submit("a", PREFIX)
    rig.run()
    rig.settle()
    shutil.rmtree(tmp_path)
    rig.submit("b", [*PREFIX, 1])
    rig.run()
    assert rig.cached == {"a": 0, "b": 0}
    assert rig.worker.stats.finished == {"length": 2}


def begin_after_a_kept_one_and_beside_a_live_one(r: Rig) -> None:
    """ "next" has 103 tokens in common with what is kept, and 100 with what is live."""
    r.submit("kept", [*PREFIX, 1, 2, 3], max_tokens=4)
    r.run()
    r.submit("live", [*PREFIX, 7], max_tokens=40)
    for _ in range(4):
        r.worker.step()
    r.submit("next", [*PREFIX, 1, 2, 3, 9], max_tokens=4)
    r.worker.step()


def test_where_nothing_is_shared_the_longest_beginning_is_copied() -> None:
    r = rig(is_unified=False)
    begin_after_a_kept_one_and_beside_a_live_one(r)
    assert r.cached["next"] == 103


def test_of_a_kept_beginning_only_what_nobody_has_in_the_cache_is_copied() -> None:
    r = rig()
    begin_after_a_kept_one_and_beside_a_live_one(r)
    assert r.cached["next"] == 103
    assert r.runtime.cells_used < 150


def test_what_is_kept_waits_for_room_instead_of_being_computed() -> None:
    r = rig()
    r.submit("kept", [2] * 200)
    r.run()
    r.submit("large", [1] * 250, max_tokens=60)
    r.submit("again", [2] * 210)
    r.run()
    assert r.cached["again"] == 200
    assert r.worker.stats.recomputed_tokens == 0


def test_nobody_waits_for_a_leader_whose_turn_comes_later() -> None:
    r = rig()
    r.submit("batch", [*PREFIX, 1], priority=1)
    r.worker.step()
    r.submit("urgent", [*PREFIX, 2])
    r.worker.step()
    assert r.cached["urgent"] == 24, "what the other had computed by then"
    r.run()
    assert r.cached["batch"] == 0
