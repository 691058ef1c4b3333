"""Models that leave, fail or are tried again for want of memory."""

import pytest

from app.core.errors import ModelLoadFailed, ModelLoading, OutOfMemory
from tests.unit.pool.rig import entry, rigged


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
