"""The pool over a loader that can be told when to finish, and what to fail with."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from app.core.errors import ModelLoadFailed, ModelLoading, ModelNotFound
from app.pool import owner as owner_module
from tests.unit.pool.rig import entry, rigged


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


async def test_a_broken_file_is_listed_as_failed() -> None:
    async with rigged(entry("a", error="cut short")) as rig:
        assert rig.state("a") == "failed"
