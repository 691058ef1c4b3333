"""What to load and what to let go."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pool import policy
from app.pool.policy import Plan, Resident, Wanted
from app.pool.room import Room


def make_plan(wanted: Sequence[str], residents: Sequence[Resident], limit: int) -> Plan:
    """Where only the number of models is bounded."""
    return policy.make_plan([Wanted(name) for name in wanted], residents, Room(limit, 0))


def test_room_is_filled_first() -> None:
    assert make_plan(["a", "b"], [], 2) == Plan(load=("a", "b"))
    assert make_plan(["a"], [Resident("x")], 2) == Plan(load=("a",))


def test_nothing_leaves_without_need() -> None:
    residents = [Resident("x", last_used=1), Resident("y", last_used=2)]
    assert make_plan([], residents, 2) == Plan()
    assert make_plan([], residents, 1) == Plan()


def test_the_least_recently_used_idle_model_leaves() -> None:
    residents = [Resident("x", last_used=2), Resident("y", last_used=1)]
    assert make_plan(["a"], residents, 2) == Plan(drain=("y",))


def test_idle_before_leased() -> None:
    residents = [Resident("x", leases=1, last_used=1), Resident("y", last_used=9)]
    assert make_plan(["a"], residents, 2) == Plan(drain=("y",))


def test_a_busy_model_is_drained_when_all_are_busy() -> None:
    residents = [Resident("x", leases=1, last_used=1), Resident("y", leases=3, last_used=2)]
    assert make_plan(["a"], residents, 2) == Plan(drain=("x",))


def test_a_victim_stays_the_victim_until_a_better_one_is_idle() -> None:
    drained = Resident("y", leases=1, last_used=5, is_draining=True)
    busy = Resident("x", leases=1, last_used=1)
    assert make_plan(["a"], [busy, drained], 2) == Plan(drain=("y",))
    idle = Resident("x", last_used=1)
    assert make_plan(["a"], [idle, drained], 2) == Plan(drain=("x",))


def test_nobody_wants_it_any_more() -> None:
    assert make_plan([], [Resident("x", leases=1, is_draining=True)], 1) == Plan()


def test_one_that_leaves_is_enough_for_one_that_comes() -> None:
    residents = [Resident("x", is_leaving=True), Resident("y")]
    assert make_plan(["a"], residents, 2) == Plan()
    assert make_plan(["a", "b"], residents, 2) == Plan(drain=("y",))


def test_nobody_waits_for_a_held_one_to_leave_where_another_is_idle() -> None:
    held = Resident("x", leases=1, is_leaving=True)
    assert make_plan(["a"], [held, Resident("y")], 2) == Plan(drain=("y",))
    assert make_plan(["a"], [held, Resident("y", leases=1)], 2) == Plan(drain=("x",))
    assert make_plan(["x"], [held, Resident("y")], 2) == Plan()


def test_who_left_and_is_wanted_again_needs_a_place() -> None:
    residents = [Resident("x", is_leaving=True), Resident("y")]
    assert make_plan(["a", "x"], residents, 2) == Plan(drain=("y",))


def test_pinned_and_loading_models_stay() -> None:
    residents = [Resident("x", is_pinned=True), Resident("y", is_loading=True)]
    assert make_plan(["a"], residents, 2) == Plan()


def test_no_place_can_ever_be_made() -> None:
    residents = [Resident("x", is_pinned=True)]
    assert make_plan(["a"], residents, 1) == Plan(hopeless=("a",))


def test_more_wanted_than_fits_is_not_hopeless() -> None:
    assert make_plan(["a", "b"], [], 1) == Plan(load=("a",))


def test_longest_wait_first() -> None:
    assert make_plan(["b", "a"], [Resident("x", is_pinned=True)], 2).load == ("b",)


def by_size(wanted: dict[str, int], residents: Sequence[Resident], limit: int) -> Plan:
    """Where only their size is bounded."""
    asked = [Wanted(name, memory) for name, memory in wanted.items()]
    return policy.make_plan(asked, residents, Room(99, limit))


def test_as_many_leave_as_take_the_bytes() -> None:
    residents = [Resident(name, 30, last_used=at) for at, name in enumerate("xyz")]
    assert by_size({"a": 10}, residents, 100) == Plan(load=("a",))
    assert by_size({"a": 20}, residents, 100) == Plan(drain=("x",))
    assert by_size({"a": 50}, residents, 100) == Plan(drain=("x", "y"))
    assert by_size({"a": 100}, residents, 100) == Plan(drain=("x", "y", "z"))


def test_a_small_one_does_not_leave_in_vain() -> None:
    residents = [Resident("x", 10, last_used=1), Resident("y", 90, last_used=2)]
    assert by_size({"a": 80}, residents, 100) == Plan(drain=("y",))
    assert by_size({"a": 100}, residents, 100) == Plan(drain=("x", "y"))


def test_what_can_never_fit_is_hopeless_and_nobody_leaves_for_it() -> None:
    residents = [Resident("x", 50)]
    assert by_size({"a": 101, "b": 50}, residents, 100) == Plan(load=("b",), hopeless=("a",))
    pinned = [Resident("x", 50, is_pinned=True)]
    assert by_size({"a": 51}, pinned, 100) == Plan(hopeless=("a",))


def test_nobody_leaves_while_it_would_not_help() -> None:
    residents = [Resident("x", 10), Resident("y", 80, is_loading=True)]
    assert by_size({"a": 60}, residents, 100) == Plan()


def test_a_later_small_one_may_have_what_the_first_will_not_need() -> None:
    residents = [Resident("x", 60, leases=1)]
    assert by_size({"a": 80, "b": 20}, residents, 100) == Plan(load=("b",), drain=("x",))
    assert by_size({"a": 80, "b": 21}, residents, 100) == Plan(drain=("x",))


def hot(name: str, memory: int, contexts: int, **more: Any) -> Resident:
    return Resident(name, memory, contexts=Room(0, contexts), **more)


def warm(name: str, memory: int, **more: Any) -> Resident:
    return Resident(name, memory, is_warm=True, **more)


def test_the_least_recently_used_cools_first() -> None:
    residents = [hot("x", 40, 10, last_used=2), hot("y", 40, 10, last_used=1)]
    assert by_size({"a": 30}, residents, 100) == Plan(cool=("y",))
    assert by_size({"a": 40}, residents, 100) == Plan(cool=("y", "x"))
    assert by_size({"a": 41}, residents, 100) == Plan(drain=("y",))
    assert by_size({"a": 70}, residents, 100) == Plan(drain=("y",), cool=("x",))
    assert by_size({"a": 90}, residents, 100) == Plan(drain=("y", "x"))


def test_what_is_warm_leaves_before_another_cools() -> None:
    residents = [warm("x", 20, last_used=1), hot("y", 70, 30, last_used=2)]
    assert by_size({"a": 20}, residents, 100) == Plan(drain=("x",))
    residents = [warm("x", 20, last_used=3), hot("y", 70, 30, last_used=2)]
    assert by_size({"a": 20}, residents, 100) == Plan(cool=("y",))


def test_who_is_used_or_pinned_does_not_cool() -> None:
    held = hot("x", 60, 30, leases=1)
    assert by_size({"a": 50}, [held], 100) == Plan(drain=("x",))
    assert by_size({"a": 50}, [hot("x", 60, 30, is_pinned=True)], 100) == Plan(hopeless=("a",))
    both = [held, hot("y", 30, 10, last_used=9)]
    assert by_size({"a": 20}, both, 100) == Plan(cool=("y",))
    assert by_size({"a": 40}, both, 100) == Plan(drain=("y",))


def test_nothing_cools_for_a_place() -> None:
    residents = [hot("x", 0, 0), hot("y", 10, 5, last_used=1)]
    assert policy.make_plan([Wanted("a")], residents, Room(2, 100)) == Plan(drain=("x",))


def test_what_cools_already_is_waited_for() -> None:
    cooling = hot("x", 60, 30, is_cooling=True)
    assert by_size({"a": 60}, [cooling], 100) == Plan()
    assert by_size({"a": 80}, [cooling], 100) == Plan()


def heat(name: str, contexts: int, residents: Sequence[Resident], limit: Room) -> Plan:
    return policy.make_plan([Wanted(name, contexts, is_warm=True)], residents, limit)


def test_a_warm_model_wants_its_contexts_only() -> None:
    residents = [warm("x", 50, last_used=1), hot("y", 40, 20, last_used=2)]
    assert heat("x", 10, residents, Room(2, 100)) == Plan(load=("x",))
    assert heat("x", 20, residents, Room(2, 100)) == Plan(cool=("y",))
    assert heat("x", 50, residents, Room(2, 100)) == Plan(drain=("y",))
    assert heat("x", 51, residents, Room(2, 100)) == Plan(hopeless=("x",))


def test_a_pinned_model_that_is_warm_has_its_weights_already() -> None:
    pinned = warm("x", 60, is_pinned=True)
    assert heat("x", 40, [pinned], Room(1, 100)) == Plan(load=("x",))
    assert heat("x", 41, [pinned], Room(1, 100)) == Plan(hopeless=("x",))


def test_two_warm_models_that_cannot_both_be_hot_take_turns() -> None:
    residents = [warm("x", 40, last_used=1), warm("y", 40, last_used=2)]
    asked = [Wanted("x", 30, is_warm=True), Wanted("y", 30, is_warm=True)]
    assert policy.make_plan(asked, residents, Room(2, 100)) == Plan(drain=("y",))
    asked.reverse()
    assert policy.make_plan(asked, residents, Room(2, 100)) == Plan(drain=("x",))


def test_each_gpu_has_a_bound_of_its_own() -> None:
    limit = Room(9, 1000, {"G0": 100, "G1": 100})
    residents = [
        Resident("x", 80, devices={"G0": 80}, last_used=1),
        Resident("y", 80, devices={"G1": 80}, last_used=2),
    ]

    def plan(**devices: int) -> Plan:
        return policy.make_plan([Wanted("a", sum(devices.values()), devices)], residents, limit)

    assert plan(G0=20, G1=20) == Plan(load=("a",))
    assert plan(G1=30) == Plan(drain=("y",))
    assert plan(G0=21, G1=21) == Plan(drain=("x", "y"))
    assert plan(G0=101) == Plan(hopeless=("a",))


_NAMES = st.sampled_from("abcdefgh")
_SIZES = st.integers(0, 60)


@given(
    wanted=st.dictionaries(_NAMES, _SIZES, max_size=5),
    contexts=st.integers(0, 20),
    residents=st.lists(
        st.builds(
            Resident,
            name=_NAMES,
            memory=_SIZES,
            leases=st.integers(0, 2),
            last_used=st.integers(0, 5).map(float),
            is_pinned=st.booleans(),
            is_loading=st.booleans(),
            is_leaving=st.booleans(),
            is_draining=st.booleans(),
            is_cooling=st.booleans(),
            is_warm=st.booleans(),
        ),
        max_size=5,
        unique_by=lambda one: one.name,
    ),
    models=st.integers(1, 6),
)
def test_every_plan_keeps_to_the_limit(
    wanted: dict[str, int], contexts: int, residents: list[Resident], models: int
) -> None:
    limit = Room(models, 100)
    residents = [
        one if one.is_warm else replace(one, contexts=Room(0, min(contexts, one.memory)))
        for one in residents
    ]
    there = {one.name: one for one in residents}
    warm = {one.name for one in residents if one.is_warm and not one.is_leaving}
    asked = [Wanted(name, memory, is_warm=name in warm) for name, memory in wanted.items()]
    plan = policy.make_plan(asked, residents, limit)
    used = sum(one.memory for one in residents)
    assert not set(plan.load) & (set(there) - warm)
    if plan.load:
        assert len({*there, *plan.load}) <= max(models, len(there))
        assert used + sum(wanted[name] for name in plan.load) <= 100
    assert all(there[name].is_movable for name in plan.drain)
    assert all(there[name].can_cool for name in plan.cool)
    chosen = (*plan.drain, *plan.cool)
    assert len(set(chosen)) == len(chosen)
    assert not set(chosen) & set(plan.load)
    if not wanted:
        assert plan == Plan()


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_somebody_always_gets_on(order: str) -> None:
    """However two models larger than half of the memory are asked for, one is loaded next."""
    residents = [Resident("x", 70, last_used=1)]
    wanted = dict.fromkeys(order, 60)
    assert by_size(wanted, residents, 100) == Plan(drain=("x",))
    assert by_size(wanted, [], 100) == Plan(load=(order[0],))
