"""Hot, warm and hot again, and replicas that die, as the pool sees them."""

import asyncio
import math

import pytest

from app.core.errors import OutOfMemory
from app.core.stats import EngineStats
from app.pool import owner as owner_module
from tests.unit.pool.rig import entry, rigged


async def test_an_unused_model_goes_warm_and_comes_back() -> None:
    async with rigged(entry("a"), entry("b", pin=True), warm_after=0.05) as rig:
        rig.loader.sizes, rig.loader.contexts = {"a": 40, "b": 40}, 15
        await rig.use("b")
        async with rig.pool.lease("a"):
            rig.loader.engines["a"].stats = EngineStats(generated_tokens=5, heartbeat=math.inf)
            await asyncio.sleep(0.08)
            assert rig.state("a") == "hot"  # it is in use
        await rig.until("a", "warm")
        assert rig.pool.find("a").memory == 25
        assert rig.pool.memory().models == {"a": 25, "b": 40}
        assert rig.pool.stats()["a"] == EngineStats(generated_tokens=5, is_alive=False)
        assert rig.pool.is_alive
        await rig.use("a")
        assert rig.loader.changes == ["cool a", "heat a"]
        assert rig.loader.loads == ["b", "a"]
        assert rig.metrics.coolings == {("a", "idle"): 1}
        assert rig.metrics.warm_starts == {"a": 1}
        assert rig.pool.stats()["a"].generated_tokens == 5
        assert rig.state("b") == "hot"  # it is pinned


async def test_how_long_it_stays_hot_is_said_by_the_model_first() -> None:
    entries = entry("a", warm_after=math.inf), entry("b", keep_alive=0.1, warm_after=0.01)
    async with rigged(*entries, warm_after=0.01) as rig:
        rig.loader.contexts = 1
        await rig.use("a")
        await rig.use("b")
        await rig.until("b", "warm")
        await rig.until("b", "cold")
        assert rig.state("a") == "hot"
        assert rig.metrics.evictions == {("b", "idle"): 1}


async def test_contexts_make_room_before_models_leave() -> None:
    async with rigged(max_loaded=9) as rig:
        rig.loader.sizes, rig.loader.contexts = {"a": 40, "b": 40, "c": 30}, 10
        for name in "ab":
            await rig.use(name)
        await rig.use("c")
        assert [rig.state(name) for name in "abc"] == ["warm", "hot", "hot"]
        assert rig.loader.unloads == []
        assert rig.metrics.coolings == {("a", "least_recently_used"): 1}
        await rig.use("a")  # wants its contexts back: b is the least recently used now
        assert [rig.state(name) for name in "abc"] == ["hot", "warm", "hot"]
        assert rig.loader.most_taken <= 100


async def test_a_warm_model_leaves_before_another_cools() -> None:
    entries = [entry(name) for name in "abcd"]
    async with rigged(*entries, max_loaded=9) as rig:
        rig.loader.sizes, rig.loader.contexts = {"a": 40, "b": 40, "c": 30, "d": 30}, 10
        for name in "abcd":
            await rig.use(name)
        assert [rig.state(name) for name in "abcd"] == ["cold", "hot", "hot", "hot"]
        assert rig.metrics.evictions == {("a", "least_recently_used"): 1}


async def test_a_place_needs_more_than_contexts() -> None:
    async with rigged(max_loaded=2) as rig:
        rig.loader.sizes, rig.loader.contexts = dict.fromkeys("abc", 10), 5
        for name in "abc":
            await rig.use(name)
        assert [rig.state(name) for name in "abc"] == ["cold", "hot", "hot"]
        assert rig.metrics.coolings == {}


async def test_a_warm_model_can_be_unloaded_replaced_and_closed() -> None:
    async with rigged(warm_after=0.01, max_loaded=3) as rig:
        rig.loader.contexts = 1
        for name in "abc":
            await rig.use(name)
        for name in "abc":
            await rig.until(name, "warm")
        await rig.pool.unload("a")
        assert rig.state("a") == "cold"
        rig.pool.replace((entry("a"), entry("b", context_window=5), entry("c", warm_after=9.0)))
        await rig.use("b")
        assert rig.loader.unloads == ["a", "b"]
        assert rig.state("c") == "warm"
        await rig.use("c")
        await asyncio.sleep(0.03)
        assert rig.state("c") == "hot"
    assert rig.loader.taken == 0


async def test_those_who_come_while_it_cools_have_it_heated() -> None:
    async with rigged(warm_after=0.0) as rig:
        rig.loader.contexts = 1
        for _ in range(20):
            await asyncio.gather(*(rig.use(name) for name in "aabb"))
        assert rig.loader.loads in (["a", "b"], ["b", "a"])
        assert rig.loader.changes.count("heat a") > 1


async def test_contexts_that_have_no_memory_drive_others_out_then_fail() -> None:
    async with rigged(max_loaded=9, warm_after=0.02) as rig:
        rig.loader.sizes, rig.loader.contexts = {"a": 40, "b": 20, "c": 20}, 10
        for name in "abc":
            await rig.use(name)
        for name in "abc":
            await rig.until(name, "warm")
        rig.loader.there = 50  # somebody else has the rest: 30 + 10 + 10 are there
        await rig.use("a")
        assert rig.state("a") == "hot"
        assert set(rig.loader.unloads) == {"b"}
        await rig.until("a", "warm")
        rig.loader.fail["a"] = OutOfMemory("no")
        with pytest.raises(OutOfMemory, match=r"needs 0\.0 MiB"):
            await rig.use("a")
        await rig.until("a", "cold")
        assert rig.metrics.evictions["a", "failed"] == 1
        rig.loader.fail.clear()
        await rig.use("a")


async def test_dead_replicas_are_replaced_beside_those_who_use_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(owner_module, "_CHECK_SECONDS", 0.01)
    monkeypatch.setattr(owner_module, "_FAILURE_REST", 0.02)
    async with rigged() as rig, rig.pool.lease("a"):
        resident = rig.loader.residents["a"]
        rig.loader.fail["a"] = OutOfMemory("no")
        resident.is_damaged = True
        await asyncio.sleep(0.06)
        assert rig.loader.changes.count("mend a") > 1
        assert (rig.state("a"), rig.pool.is_alive) == ("hot", True)
        assert rig.metrics.restarts == {}
        rig.loader.fail.clear()
        async with asyncio.timeout(5):
            while resident.is_damaged:  # noqa: ASYNC110  # as an outsider sees it
                await asyncio.sleep(0.002)
        await rig.use("a")
        assert rig.metrics.restarts == {"a": 1}
        assert rig.loader.unloads == []


async def test_how_far_a_load_has_come() -> None:
    async with rigged() as rig:
        assert rig.pool.find("a").load_progress is None
        rig.loader.gate.clear()
        user = asyncio.create_task(rig.use("a"))
        await rig.until("a", "loading")
        await asyncio.sleep(0)
        assert rig.pool.find("a").load_progress == 0.5
        rig.loader.gate.set()
        await user
        assert rig.pool.find("a").load_progress is None
