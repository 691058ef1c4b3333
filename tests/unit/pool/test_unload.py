"""How long a model that nobody uses stays, and having it unloaded."""

import asyncio
import math
import time

import pytest

from app.core.errors import ModelBusy, ModelNotFound
from tests.unit.pool.rig import entry, rigged


async def test_an_unused_model_leaves_after_a_while() -> None:
    async with rigged(keep_alive=0.05) as rig:
        async with rig.pool.lease("a"):
            await asyncio.sleep(0.08)
            assert rig.state("a") == "hot"
            assert rig.pool.find("a").expires is None  # it is in use
        await asyncio.sleep(0)  # the owner hears of it
        expires = rig.pool.find("a").expires
        assert expires is not None
        assert 0 < expires - time.time() <= 0.05
        await rig.until("a", "cold")
        assert rig.metrics.evictions == {("a", "idle"): 1}
        assert rig.pool.find("a").expires is None
        await rig.use("a")
        assert rig.loader.loads == ["a", "a"]


async def test_how_long_it_stays_is_said_by_request_model_and_setting() -> None:
    entries = entry("a", keep_alive=0.0), entry("b"), entry("c", pin=True)
    async with rigged(*entries, max_loaded=3, keep_alive=0.02) as rig:
        for name in "abc":
            await rig.pool.load(name)
        await rig.until("a", "cold")
        await rig.until("b", "cold")
        await rig.pool.load("a", keep_alive=math.inf)
        await rig.pool.load("b", keep_alive=0.0)
        await rig.until("b", "cold")
        await rig.use("a")  # says nothing: what was said before holds
        await asyncio.sleep(0.05)
        assert (rig.state("a"), rig.state("c")) == ("hot", "hot")
        await rig.pool.unload("a")
        await rig.use("a")  # a new load knows nothing of it
        await rig.until("a", "cold")


async def test_unload_waits_for_those_who_hold_it() -> None:
    async with rigged(entry("a", pin=True), entry("b")) as rig:
        await rig.pool.unload("a")  # it is not even there
        async with rig.pool.lease("a"):
            with pytest.raises(ModelBusy, match=r"1 requests are not done after 0\.02 seconds"):
                await rig.pool.unload("a", patience=0.02)
            await rig.use("a")  # it stays, and serves
            unload = asyncio.create_task(rig.pool.unload("a"))
            await rig.until("a", "draining")
            late = asyncio.create_task(rig.use("a"))
            await asyncio.sleep(0.01)
            assert not unload.done()
            assert not late.done()
        await asyncio.gather(unload, late)
        assert rig.loader.loads == ["a", "a"]
        assert rig.metrics.evictions == {("a", "requested"): 1}
        with pytest.raises(ModelNotFound):
            await rig.pool.unload("x")


async def test_unload_of_a_model_that_is_being_loaded() -> None:
    async with rigged() as rig:
        rig.loader.gate.clear()
        user = asyncio.create_task(rig.use("a"))
        await rig.until("a", "loading")
        unload = asyncio.create_task(rig.pool.unload("a"))
        await asyncio.sleep(0.01)
        rig.loader.gate.set()
        await asyncio.gather(user, unload)
        assert rig.state("a") == "cold"
