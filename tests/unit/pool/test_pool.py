"""The pool over a loader that can be told when to finish, and what to fail with."""

import asyncio
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from app.core.errors import (
    Draining,
    ModelBusy,
    ModelLoadFailed,
    ModelLoading,
    ModelNotDownloaded,
    ModelNotFound,
    OutOfMemory,
)
from app.core.stats import EngineStats
from app.pool import owner as owner_module
from app.pool import pool as pool_module
from app.pool.roster import Changes
from tests.unit.pool.rig import FakeEngine, entry, rigged


async def test_names() -> None:
    async with rigged(entry("a", aliases=("gpt",)), entry("b:latest")) as rig:
        for name in ("a", "gpt", "a:latest", "gpt:latest", "default"):
            assert rig.pool.find(name).id == "a"
        assert rig.pool.find("b").id == "b:latest"
        for name in ("x", "", "A", "a:other"):
            with pytest.raises(ModelNotFound):
                rig.pool.find(name)
            with pytest.raises(ModelNotFound):
                await rig.use(name)


async def test_a_lease_loads_and_the_model_stays() -> None:
    async with rigged() as rig:
        assert rig.state("a") == "cold"
        async with rig.pool.lease("gpt") as loaded:
            assert loaded.info.id == "a"
            assert rig.state("a") == "hot"
        await rig.use("a")
        assert rig.loader.loads == ["a"]
        assert rig.metrics.loads == {"a": 1}
        assert [one.state for one in rig.pool.models()] == ["hot", "cold", "cold"]


async def test_those_who_wait_share_one_load() -> None:
    async with rigged() as rig:
        rig.loader.gate.clear()
        users = [asyncio.create_task(rig.use("a")) for _ in range(10)]
        await rig.until("a", "loading")
        rig.loader.gate.set()
        await asyncio.gather(*users)
        assert rig.loader.loads == ["a"]


async def test_the_least_recently_used_model_leaves() -> None:
    async with rigged() as rig:
        for name in ("a", "b", "a", "c"):
            await rig.use(name)
        await rig.until("b", "cold")
        assert rig.state("a") == "hot"
        assert rig.loader.unloads == ["b"]
        assert rig.metrics.evictions == {("b", "least_recently_used"): 1}


async def test_a_leased_model_is_never_unloaded() -> None:
    async with rigged(max_loaded=1) as rig:
        async with rig.pool.lease("a"):
            other = asyncio.create_task(rig.use("b"))
            await rig.until("a", "draining")
            late = asyncio.create_task(rig.use("a"))  # takes its turn after b
            await asyncio.sleep(0.02)
            assert rig.loader.unloads == []
        await asyncio.gather(other, late)
        assert rig.loader.loads == ["a", "b", "a"]
        assert rig.loader.most == 1


async def test_a_drained_model_comes_back_when_nobody_needs_its_place() -> None:
    async with rigged(max_loaded=1) as rig, rig.pool.lease("a"):
        other = asyncio.create_task(rig.use("b"))
        await rig.until("a", "draining")
        late = asyncio.create_task(rig.use("a"))
        await asyncio.sleep(0.01)
        assert not late.done()
        other.cancel()
        await asyncio.wait([other])
        await late
        assert rig.state("a") == "hot"
        assert rig.loader.loads == ["a"]


async def test_pinned_models_stay() -> None:
    entries = entry("a", pin=True), entry("b"), entry("c")
    async with rigged(*entries) as rig:
        for name in ("a", "b", "c", "b"):
            await rig.use(name)
        assert "a" not in rig.loader.unloads
    async with rigged(*entries, max_loaded=1) as rig:
        await rig.use("a")
        with pytest.raises(ModelLoadFailed, match="every loaded model is pinned"):
            await rig.use("b")


async def test_many_users_of_many_models_all_get_their_turn() -> None:
    entries = [entry(name) for name in "abcde"]
    async with rigged(*entries) as rig:

        async def use(number: int) -> None:
            async with rig.pool.lease("abcde"[number % 5]) as loaded:
                assert loaded.info.id == "abcde"[number % 5]
                await asyncio.sleep(0.001)

        await asyncio.gather(*(use(number) for number in range(100)))
        assert rig.loader.most <= 2


async def test_a_failed_load_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rigged() as rig:
        rig.loader.fail["a"] = ModelLoadFailed("no such tensor")
        users = await asyncio.gather(*(rig.use("a") for _ in range(3)), return_exceptions=True)
        assert [str(user) for user in users] == ["no such tensor"] * 3
        assert rig.state("a") == "failed"
        assert rig.pool.find("a").error == "no such tensor"
        loads = len(rig.loader.loads)
        with pytest.raises(ModelLoadFailed):  # at once, without another try
            await rig.use("a")
        assert len(rig.loader.loads) == loads
        rig.loader.fail.clear()
        monkeypatch.setattr(owner_module, "_FAILURE_REST", 0.0)
        await rig.use("a")
        assert rig.state("a") == "hot"


async def test_an_unforeseen_error_is_a_failed_load() -> None:
    async with rigged() as rig:
        rig.loader.fail["a"] = RuntimeError("odd")
        with pytest.raises(ModelLoadFailed, match="The model 'a' cannot be loaded: odd"):
            await rig.use("a")


async def test_a_file_that_is_deleted_just_before_its_load_is_a_model_that_is_not_there() -> None:
    async with rigged(replace(entry("a"), paths=(Path("gone.gguf"),))) as rig:
        for error in (FileNotFoundError("gone.gguf"), ModelLoadFailed("cannot open it")):
            rig.loader.fail["a"] = error
            with pytest.raises(ModelNotFound, match="'a' does not exist any more: its file is"):
                await rig.use("a")


async def test_patience_ends() -> None:
    async with rigged(load_timeout=0.5) as rig:
        rig.loader.gate.clear()
        with pytest.raises(ModelLoading) as caught:
            await rig.use("a")
        assert caught.value.retry_after
        rig.loader.gate.set()
        await rig.until("a", "hot")  # the load went on


async def test_who_leaves_while_waiting_takes_no_lease_along() -> None:
    async with rigged(max_loaded=1) as rig:
        rig.loader.gate.clear()
        user = asyncio.create_task(rig.use("a"))
        await rig.until("a", "loading")
        user.cancel()
        rig.loader.gate.set()
        await rig.until("a", "hot")
        await rig.use("b")  # needs a's place: nobody may hold it
        assert rig.loader.unloads == ["a"]


async def test_a_cancellation_that_meets_the_grant_gives_the_lease_back() -> None:
    async with rigged(max_loaded=1) as rig:
        await rig.use("a")
        for turns in range(6):  # whatever the order of grant and cancellation
            user = asyncio.create_task(rig.use("a"))
            for _ in range(turns):
                await asyncio.sleep(0)
            user.cancel()
            await asyncio.wait([user])
        await rig.use("b")
        assert rig.loader.unloads == ["a"]


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


async def test_a_broken_file_is_listed_as_failed() -> None:
    async with rigged(entry("a", error="cut short")) as rig:
        assert rig.state("a") == "failed"


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


async def test_models_leave_for_want_of_bytes() -> None:
    async with rigged(max_loaded=9) as rig:
        rig.loader.sizes = {"a": 40, "b": 40, "c": 60}
        for name in "abc":
            await rig.use(name)
        assert rig.loader.unloads == ["a"]
        assert rig.pool.find("c").memory == 60
        assert rig.loader.most_taken <= 100


async def test_a_model_that_can_never_fit_is_refused_with_the_numbers() -> None:
    async with rigged(memory=3 * 2**30) as rig:
        rig.loader.sizes["a"] = 5 * 2**30
        await rig.use("b")
        with pytest.raises(ModelLoadFailed) as caught:
            await rig.use("a")
        assert "needs 5.0 GiB of memory" in caught.value.message
        assert "models may take 3.0 GiB" in caught.value.message
        assert rig.state("b") == "hot"
        assert rig.loader.loads == ["b"]


async def test_a_load_that_runs_out_of_memory_is_tried_again_with_more_room() -> None:
    async with rigged(max_loaded=9) as rig:
        await rig.use("b")
        async with rig.pool.lease("c"):
            rig.loader.there = 2
            await rig.use("a")
        assert (rig.state("b"), rig.state("c")) == ("cold", "hot")  # b was idle
        assert rig.loader.loads[-2:] == ["a", "a"]


async def test_who_gave_up_leaves_no_wish_for_more_room() -> None:
    async with rigged(max_loaded=9, load_timeout=0.1) as rig, rig.pool.lease("b"):
        rig.loader.there = 1
        with pytest.raises(ModelLoading):
            await rig.use("a")
        rig.loader.there = 2
        await rig.use("a")
        assert rig.state("b") == "hot"


async def test_a_load_that_always_runs_out_of_memory_says_so() -> None:
    async with rigged(entry("a"), entry("b", pin=True), entry("c"), max_loaded=9) as rig:
        rig.loader.sizes["a"] = 64
        await rig.use("b")
        await rig.use("c")
        rig.loader.there = 64
        with pytest.raises(OutOfMemory) as caught:
            await rig.use("a")
        assert "no memory for the model 'a' now: it needs 0.0 MiB" in caught.value.message
        assert caught.value.retry_after
        assert rig.loader.unloads == ["c"]
        assert rig.state("b") == "hot"


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
