"""Another catalog while models are used, and models whose files are not here yet."""

import asyncio

import pytest

from app.core.errors import ModelNotDownloaded, ModelNotFound
from app.core.stats import EngineStats
from app.pool.roster import Changes
from tests.unit.pool.rig import entry, rigged


async def test_another_catalog() -> None:
    async with rigged(entry("a"), entry("b", aliases=("x",)), entry("c")) as rig:
        for name in "ab":
            await rig.use(name)
        changes = rig.pool.replace((entry("b", aliases=("y",)), entry("c"), entry("d")), "c")
        assert changes == Changes(added=("d",), removed=("a",), changed=("b",))
        assert [one.id for one in rig.pool.models()] == ["b", "c", "d"]
        assert rig.pool.find("default").id == "c"
        assert rig.pool.find("y").aliases == ("y",)
        for name in ("a", "x"):
            with pytest.raises(ModelNotFound):
                await rig.use(name)
        await rig.use("b")  # other names do not need another load
        await rig.use("d")
        assert rig.loader.loads == ["a", "b", "d"]
        assert rig.metrics.evictions == {("a", "replaced"): 1}


async def test_who_holds_a_replaced_model_keeps_it() -> None:
    async with rigged() as rig:
        async with rig.pool.lease("a") as old:
            stats = EngineStats(generated_tokens=5, heartbeat=float("inf"))
            rig.loader.engines["a"].stats = stats
            rig.pool.replace((entry("a", system_prompt="new"), entry("b")))
            async with rig.pool.lease("a") as new:
                assert new is not old
                assert rig.loader.loads == ["a", "a"]
                assert rig.loader.unloads == []
                rig.loader.engines["a"].stats = stats
                assert rig.pool.stats()["a"].generated_tokens == 10
        await rig.use("b")
        assert rig.loader.unloads == ["a"]
        assert rig.state("a") == "hot"
        assert rig.pool.stats()["a"].generated_tokens == 10


async def test_what_was_replaced_and_has_left_counts_no_more_as_alive() -> None:
    async with rigged() as rig:
        await rig.use("a")
        rig.pool.replace((entry("a", system_prompt="new"),))
        async with asyncio.timeout(5):
            while not rig.loader.unloads:  # noqa: ASYNC110  # as an outsider sees it
                await asyncio.sleep(0.002)
        await asyncio.sleep(0.01)
        assert not rig.pool.stats()["a"].is_alive


async def test_who_waits_waits_for_the_new_one() -> None:
    async with rigged() as rig:
        rig.loader.gate.clear()
        users = [asyncio.create_task(rig.use(name)) for name in "ab"]
        await rig.until("b", "loading")
        late = asyncio.create_task(rig.use("a"))
        rig.pool.replace((entry("a", pin=True, context_window=5),))
        rig.loader.gate.set()
        await asyncio.gather(users[0], late)
        with pytest.raises(ModelNotFound, match="does not exist any more"):
            await users[1]
        await rig.until("a", "hot")


async def test_an_absent_model_is_refused_with_what_to_do() -> None:
    async with rigged(entry("a", is_here=False, error="is not downloaded yet")) as rig:
        assert rig.state("a") == "absent"
        with pytest.raises(ModelNotDownloaded, match="corral pull a"):
            await rig.use("a")
        assert rig.state("a") == "absent"
        assert not rig.loader.loads
        rig.pool.replace((entry("a"),))
        await rig.use("a")
        assert rig.state("a") == "hot"


async def test_an_absent_model_is_brought_where_that_is_wanted() -> None:
    async with rigged(entry("a", is_here=False, error="is not downloaded yet")) as rig:
        brought: list[str] = []

        async def bring(model: str) -> None:
            brought.append(model)
            await asyncio.sleep(0.01)
            if len(brought) > 1:
                rig.pool.replace((entry("a"),))

        rig.pool.bring_with(bring, {"a": 0.42}.get)
        assert rig.pool.find("a").pull_progress == 0.42
        with pytest.raises(ModelNotDownloaded):
            await rig.use("a")
        await rig.use("a")
        await rig.use("a")
        assert brought == ["a", "a"]
