from app.core.requests import SamplingParams
from app.engine.cells import CellLedger
from app.engine.fairness import Share
from app.engine.messages import SequenceSpec
from app.engine.prefix.tree import common_prefix
from app.engine.scheduler import Limits, Scheduler
from app.engine.sequence import MOST_PENDING, Sequence
from app.engine.step import Step


def sequence(
    name: str,
    n_prompt: int,
    *,
    max_tokens: int = 8,
    priority: int = 0,
    owner: str | None = None,
    prompt_logprobs: int | None = None,
    first: int = 1,
) -> Sequence:
    """Sequences of the same `first` token begin alike."""
    return Sequence.from_spec(
        SequenceSpec(
            id=name,
            prompt=tuple(range(first, first + n_prompt)),
            max_tokens=max_tokens,
            sampling=SamplingParams(temperature=0),
            priority=priority,
            owner=owner,
            prompt_logprobs=prompt_logprobs,
        )
    )


def common(sequence: Sequence, live: list[Sequence]) -> int:
    return max((common_prefix(other.known, sequence.cacheable) for other in live), default=0)


def scheduler(
    *sequences: Sequence,
    kv_size: int = 1000,
    slots: int = 4,
    batch: int = 100,
    outputs: int = 8,
    mixes_steps: bool = False,
) -> Scheduler:
    limits = Limits(slots, kv_size, batch, outputs, mixes_steps=mixes_steps)
    made = Scheduler(limits, CellLedger(shares_cells=True), common)
    for item in sequences:
        made.enqueue(item)
    return made


def admit_all(made: Scheduler) -> list[Sequence]:
    """Admit what fits, as if nothing was known of any prompt."""
    admitted: list[Sequence] = []
    while (item := made.admit()) is not None:
        item.is_attached = True
        made.line_up(item)
        admitted.append(item)
    return admitted


def decoding(*sequences: Sequence) -> None:
    """As after their prompts were computed and one token was chosen."""
    for item in sequences:
        item.computed = item.length
        item.append(1)


def planned(made: Scheduler, budget: int = 100) -> list[tuple[str, int]]:
    return [(piece.sequence.spec.id, piece.count) for piece in made.plan(budget).prefill]


def run(made: Scheduler, budget: int = 100) -> Step:
    """Plan a step and compute it; who has been read begins to decode."""
    step = made.plan(budget)
    made.advance(step)
    for piece in step.pieces:
        completes = piece.completes
        piece.sequence.computed += piece.count
        if completes:
            piece.sequence.append(1)
    return step


def names(step: Step) -> list[str]:
    return [piece.sequence.spec.id for piece in step.pieces]


def test_prompts_are_cut_to_the_budget() -> None:
    s = scheduler(sequence("a", 40), sequence("b", 90, first=500))
    assert [item.spec.id for item in admit_all(s)] == ["a", "b"]
    assert planned(s, 100) == [("a", 40), ("b", 60)]
    assert planned(s, 64) == [("a", 40), ("b", 24)]


def test_a_step_ends_with_a_prompt_that_fills_a_tile() -> None:
    s = scheduler(sequence("a", 64), sequence("b", 90, first=500))
    admit_all(s)
    assert planned(s) == [("a", 64)]


def test_on_a_gpu_every_decoding_sequence_is_in_the_step_beside_the_budget() -> None:
    a, b, c = sequence("a", 10), sequence("b", 70, first=500), sequence("c", 500, first=900)
    s = scheduler(a, b, c, mixes_steps=True, kv_size=2000, batch=200)
    admit_all(s)
    decoding(a)
    step = s.plan(128)
    assert [(piece.sequence, piece.count) for piece in step.decode] == [(a, 1)]
    assert planned(s, 128) == [("b", 70), ("c", 58)]


def test_streams_and_prompts_take_turns() -> None:
    a, b = sequence("a", 10, max_tokens=99), sequence("b", 500, first=500)
    s = scheduler(a, b, batch=200)
    admit_all(s)
    decoding(a)
    steps = [run(s, 128) for _ in range(5)]
    assert [names(step) for step in steps] == [["b"], ["a"], ["b"], ["a"], ["b"]]
    assert [step.n_prefill for step in steps] == [128, 0, 128, 0, 128]


def test_several_prompts_are_read_between_two_turns_of_a_stream() -> None:
    a = sequence("a", 10, max_tokens=99)
    prompts = [sequence(f"p{index}", 70, first=500 * index) for index in range(1, 4)]
    s = scheduler(a, *prompts, batch=200)
    admit_all(s)
    decoding(a)
    assert [names(run(s, 192)) for _ in range(4)] == [["p1"], ["p2"], ["a", "p1", "p2"], ["p3"]]


def test_prompts_get_on_beside_streams_however_small_the_budget() -> None:
    a, b = sequence("a", 10, max_tokens=99), sequence("b", 90, first=500)
    s = scheduler(a, b)
    admit_all(s)
    decoding(a)
    assert [names(run(s, 16)) for _ in range(4)] == [["b"], ["a"], ["b"], ["a"]]


def test_a_shorter_prompt_passes_a_longer_one() -> None:
    s = scheduler(sequence("long", 600, first=1000), kv_size=2000)
    admit_all(s)
    assert names(run(s)) == ["long"]
    s.enqueue(sequence("short", 70))
    admit_all(s)
    assert names(run(s)) == ["short"]


def test_a_long_prompt_is_not_passed_for_ever() -> None:
    """Somebody short always waits: they pass until as many tokens were computed as it has."""
    s = scheduler(sequence("long", 600, first=1000), kv_size=2000)
    admit_all(s)
    passed: list[str] = []
    while "long" not in passed:
        short = sequence(f"short{len(passed)}", 70)
        s.enqueue(short)
        admit_all(s)
        passed += names(run(s))
        s.release(short)
    assert len(passed) == 1 + (600 - 70) // 70 + 1


def test_a_shorter_prompt_of_lower_priority_waits() -> None:
    s = scheduler(sequence("long", 300, first=1000), sequence("short", 70, priority=1))
    admit_all(s)
    assert names(s.plan(100)) == ["long"]


def test_a_few_forced_tokens_are_taken_whole() -> None:
    a = sequence("a", 10, max_tokens=99)
    s = scheduler(a)
    admit_all(s)
    decoding(a)
    for _ in range(MOST_PENDING - 1):
        a.append(1)
    assert s.plan(64).decode[0].count == MOST_PENDING
    a.append(1)
    assert s.plan(64).decode == []
    assert planned(s, 64) == [("a", MOST_PENDING + 1)]


def test_higher_priority_starts_first_then_age() -> None:
    s = scheduler(sequence("a", 4), sequence("b", 4), sequence("urgent", 4, priority=-1), slots=4)
    assert [item.spec.id for item in admit_all(s)] == ["urgent", "a", "b"]


def test_owners_take_turns_by_the_tokens_they_were_served() -> None:
    many = [sequence(f"many{i}", 4, owner="many") for i in range(3)]
    s = scheduler(*many, sequence("one", 4, owner="one"), slots=1)
    first = admit_all(s)
    assert [item.spec.id for item in first] == ["many0"]
    s.shares.charge(Share(0, "many"), 12)
    s.release(first[0])
    assert [item.spec.id for item in admit_all(s)] == ["one"]


def clocks(made: Scheduler, *owners: str, priority: int = 0) -> list[int]:
    return [made.shares.clock(Share(priority, owner)) for owner in owners]


def test_who_comes_late_has_saved_up_nothing() -> None:
    s = scheduler(sequence("a0", 4, owner="a"), sequence("a1", 4, owner="a"), slots=1)
    admit_all(s)
    s.shares.charge(Share(0, "a"), 1000)
    s.enqueue(sequence("b", 4, owner="b"))
    assert clocks(s, "a", "b") == [1000, 1000]


def test_nobody_is_behind_where_nobody_waits() -> None:
    s = scheduler(sequence("a", 4, owner="a"), slots=1)
    admit_all(s)
    s.shares.charge(Share(0, "a"), 1000)
    s.enqueue(sequence("b", 4, owner="b"))
    assert clocks(s, "a", "b") == [0, 0]


def test_who_is_content_with_little_saves_up_nothing_either() -> None:
    """A long answer that runs holds back no clock: its owner waits for nothing."""
    small, *many = (
        sequence("small", 4, owner="small"),
        *(sequence(f"many{i}", 4, owner="many") for i in range(3)),
    )
    s = scheduler(small, *many, slots=2)
    assert admit_all(s) == [small, many[0]]
    s.shares.charge(Share(0, "small"), 5)
    s.shares.charge(Share(0, "many"), 1000)
    s.enqueue(sequence("new", 4, owner="new"))
    s.enqueue(sequence("small again", 4, owner="small"))
    assert clocks(s, "many", "new", "small") == [1000, 1000, 1000]


def test_who_leaves_for_a_moment_still_owes() -> None:
    large, *few = (
        sequence("large", 4, owner="large"),
        *(sequence(f"few{i}", 4, owner="few") for i in range(3)),
    )
    s = scheduler(large, *few, slots=1)
    admit_all(s)
    s.shares.charge(Share(0, "large"), 10_000)
    s.release(large)
    s.enqueue(sequence("large again", 4, owner="large"))
    assert clocks(s, "large", "few") == [10_000, 0]


def test_a_class_that_waits_behind_others_holds_back_no_clock_of_theirs() -> None:
    s = scheduler(
        *(sequence(f"a{i}", 4, owner="a") for i in range(2)),
        sequence("starved", 4, owner="c", priority=9),
        slots=1,
    )
    admit_all(s)
    s.shares.charge(Share(0, "a"), 1000)
    s.enqueue(sequence("b", 4, owner="b"))
    assert clocks(s, "a", "b") == [1000, 1000]
    assert clocks(s, "c", priority=9) == [0]


def test_a_parked_sequence_comes_back_before_new_ones() -> None:
    a, b = sequence("a", 4), sequence("b", 4, owner="new")
    s = scheduler(b, slots=1)
    a.has_started = True
    s.waiting.append(a)
    s.shares.charge(Share(0, None), 1000)
    assert admit_all(s) == [a]


def test_a_large_request_at_the_head_is_not_overtaken() -> None:
    first, large = sequence("first", 100), sequence("large", 150, first=300)
    s = scheduler(first, large, sequence("small", 4, first=900), kv_size=200)
    assert admit_all(s) == [first]
    s.release(first)
    assert s.admit() is large


def test_what_will_be_shared_takes_no_cells_twice() -> None:
    s = scheduler(sequence("a", 150), sequence("b", 160), kv_size=230)
    assert len(admit_all(s)) == 2


def test_the_newest_of_the_lowest_priority_is_the_victim() -> None:
    a, b, c = sequence("a", 4), sequence("b", 4), sequence("c", 4, priority=-1)
    s = scheduler(a, b, c)
    admit_all(s)
    assert s.victim() is b
    s.release(a)
    s.release(b)
    assert s.victim() is None, "the only one stays"


def test_higher_priority_outranks_the_newest_of_the_lowest() -> None:
    a, b = sequence("a", 4, priority=1), sequence("b", 4, priority=1)
    s = scheduler(a, b, slots=2)
    admit_all(s)
    assert s.outranked() is None
    s.enqueue(sequence("equal", 4, priority=1))
    assert s.outranked() is None
    s.enqueue(sequence("urgent", 4))
    assert s.outranked() is b


def test_prompts_of_higher_priority_are_read_first() -> None:
    slow, fast = sequence("slow", 50, priority=1), sequence("fast", 60, first=500)
    s = scheduler(slow)
    admit_all(s)
    s.enqueue(fast)
    admit_all(s)
    assert planned(s, 100) == [("fast", 60), ("slow", 40)]


def test_prompt_logprobs_take_output_rows() -> None:
    s = scheduler(sequence("a", 50, prompt_logprobs=0), outputs=8)
    admit_all(s)
    assert planned(s) == [("a", 8)]


def test_a_piece_ends_at_a_checkpoint() -> None:
    a = sequence("a", 90)
    s = scheduler(a)
    admit_all(s)
    a.checkpoints = {30, 60}
    a.computed = 30
    assert planned(s) == [("a", 30)]


def test_who_waits_for_a_leader_is_left_out() -> None:
    a = sequence("a", 90)
    s = scheduler(a)
    admit_all(s)
    a.is_attached = False
    assert s.plan(64).n_tokens == 0


def test_room_counts_the_cells_in_use() -> None:
    cells = CellLedger(shares_cells=True)
    s = Scheduler(Limits(4, 64, 100, 8), cells, common)
    s.enqueue(sequence("a", 60))
    admit_all(s)
    step = s.plan(100)
    assert step.n_tokens == 60
    assert s.has_room(step)
    cells.extend(3, 10)
    assert not s.has_room(step)
