"""What to load and what to let go."""

from app.pool.policy import Plan, Resident, make_plan


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
