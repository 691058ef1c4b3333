"""Engines that die or hang, and the end of the pool, over a loader that can be told what to do."""

import asyncio
from typing import cast

import pytest

from app.core.errors import Draining, ModelLoadFailed
from app.core.stats import EngineStats
from app.pool import owner as owner_module
from app.pool import pool as pool_module
from tests.unit.pool.rig import FakeEngine, entry, rigged


async def test_a_dead_engine_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner_module, "_CHECK_SECONDS", 0.01)
    async with rigged() as rig:
        async with rig.pool.lease("a"):
            rig.loader.engines["a"].stats = EngineStats(
                generated_tokens=5, finished={"stop": 1}, heartbeat=float("inf")
            )
            rig.loader.engines["a"].die()
            assert not rig.pool.is_alive
            await rig.until("a", "draining")
        await rig.until("a", "cold")
        assert rig.pool.is_alive
        assert rig.metrics.restarts == {"a": 1}
        assert rig.pool.stats()["a"] == EngineStats(
            generated_tokens=5, finished={"stop": 1}, is_alive=False
        )
        await rig.use("a")
        rig.loader.engines["a"].stats = EngineStats(
            generated_tokens=2, running=1, finished={"stop": 1, "length": 1}
        )
        stats = rig.pool.stats()["a"]
        assert (stats.generated_tokens, stats.running) == (7, 1)
        assert stats.finished == {"stop": 2, "length": 1}


async def test_a_pinned_model_whose_engine_died_comes_back() -> None:
    async with rigged(entry("a", pin=True), max_loaded=1) as rig:
        rig.loader.sizes["a"] = 60
        await rig.use("a")
        rig.loader.engines["a"].die()
        await rig.use("a")
        assert rig.loader.loads == ["a", "a"]


async def test_a_stuck_engine_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rigged() as rig:
        await rig.use("a")
        assert rig.pool.is_alive
        rig.loader.engines["a"].stats = EngineStats(heartbeat=0.001)
        monkeypatch.setattr(pool_module, "_HANG_SECONDS", 0.0)
        assert not rig.pool.is_alive


async def test_readiness() -> None:
    async with rigged() as rig:
        assert not rig.pool.is_ready
        assert rig.pool.is_alive
        await rig.pool.preload(["b", "default"])
        assert rig.pool.is_ready
        assert rig.loader.loads == ["b", "a"]
        rig.pool.drain()
        assert not rig.pool.is_ready
        await rig.use("a")  # what was let in may still work
    assert rig.loader.unloads == ["a", "b"]
    with pytest.raises(Draining):
        await rig.use("a")


async def test_close_refuses_those_who_wait() -> None:
    async with rigged(max_loaded=1) as rig, rig.pool.lease("a") as held:
        waiting = asyncio.create_task(rig.use("b"))
        await rig.until("a", "draining")
        await rig.pool.close()
        with pytest.raises(Draining):
            await waiting
        assert rig.loader.unloads == []  # held to the end, but its engine works no more
        assert cast("FakeEngine", held.engine).is_closed
        await rig.pool.close()


async def test_abort_ends_engines_and_keeps_models() -> None:
    async with rigged() as rig:
        await rig.use("a")
        rig.loader.gate.clear()
        waiting = asyncio.create_task(rig.use("b"))
        await rig.until("b", "loading")
        await rig.pool.abort()
        with pytest.raises(Draining):
            await waiting
        assert rig.loader.engines["a"].is_closed
        assert rig.state("a") == "hot"
        assert rig.pool.is_alive


@pytest.mark.parametrize("how", ["close", "abort"])
async def test_shutting_down_does_not_wait_for_loads(how: str) -> None:
    async with rigged() as rig:
        rig.loader.gate.clear()
        waiting = asyncio.create_task(rig.use("a"))
        await rig.until("a", "loading")
        async with asyncio.timeout(2):
            await getattr(rig.pool, how)()
            await rig.pool.close()
        assert rig.loader.is_stopped
        with pytest.raises((Draining, ModelLoadFailed)):
            await waiting
