from app.core.requests import SamplingParams
from app.engine.messages import EngineConfig, SequenceSpec
from app.engine.scheduler import Limits, Scheduler
from app.engine.sequence import Sequence


def sequence(
    name: str,
    n_prompt: int,
    *,
    max_tokens: int = 8,
    priority: int = 0,
    prompt_logprobs: int | None = None,
) -> Sequence:
    return Sequence.from_spec(
        SequenceSpec(
            id=name,
            prompt=tuple(range(1, n_prompt + 1)),
            max_tokens=max_tokens,
            sampling=SamplingParams(temperature=0),
            priority=priority,
            prompt_logprobs=prompt_logprobs,
        )
    )


def scheduler(
    *,
    kv_size: int = 1000,
    slots: int = 4,
    mixed: int = 64,
    step: int = 100,
    batch: int = 100,
    outputs: int = 8,
) -> Scheduler:
    return Scheduler(
        Limits(slots, kv_size, batch, outputs),
        EngineConfig(mixed_step_tokens=mixed, step_tokens=step),
    )


def decoding(*sequences: Sequence) -> None:
    """As after their prompts were computed and one token was chosen."""
    for item in sequences:
        item.computed = item.length
        item.append(1)


def test_prompts_are_cut_to_the_step() -> None:
    s = scheduler(step=100)
    a, b = sequence("a", 70), sequence("b", 70)
    s.enqueue(a)
    s.enqueue(b)
    assert list(s.admit()) == [a, b]
    assert s.plan().prefill == [(a, 70), (b, 30)]


def test_decoding_rows_come_first_and_prefill_fills_the_mixed_step() -> None:
    s = scheduler(mixed=64)
    a, b = sequence("a", 10), sequence("b", 500)
    s.enqueue(a)
    s.enqueue(b)
    list(s.admit())
    decoding(a)
    step = s.plan()
    assert step.decode == [a]
    assert step.prefill == [(b, 64)]


def test_many_streams_leave_prompts_their_share() -> None:
    s = scheduler(mixed=64, slots=4, outputs=8)
    many = [sequence(str(i), 4) for i in range(3)]
    late = sequence("late", 100)
    for item in [*many, late]:
        s.enqueue(item)
    list(s.admit())
    decoding(*many)
    assert s.plan().prefill == [(late, 64)]


def test_higher_priority_starts_first_then_age() -> None:
    s = scheduler(slots=1)
    for item in (sequence("a", 4), sequence("b", 4), sequence("urgent", 4, priority=-1)):
        s.enqueue(item)
    assert [item.spec.id for item in s.waiting] == ["urgent", "a", "b"]


def test_a_large_request_at_the_head_is_not_overtaken() -> None:
    s = scheduler(kv_size=200)
    first, large, small = sequence("first", 100), sequence("large", 150), sequence("small", 4)
    for item in (first, large, small):
        s.enqueue(item)
    assert list(s.admit()) == [first]
    s.release(first)
    assert next(iter(s.admit())) is large


def test_the_newest_of_the_lowest_priority_is_parked() -> None:
    s = scheduler()
    a, b, c = sequence("a", 4), sequence("b", 4), sequence("c", 4, priority=-1)
    for item in (a, b, c):
        s.enqueue(item)
    list(s.admit())
    assert s.park() is b
    assert s.waiting == [b]


def test_the_only_sequence_is_never_parked() -> None:
    s = scheduler()
    s.enqueue(sequence("a", 4))
    list(s.admit())
    assert s.park() is None


def test_prompt_logprobs_take_output_rows() -> None:
    s = scheduler(outputs=8)
    a = sequence("a", 50, prompt_logprobs=0)
    s.enqueue(a)
    list(s.admit())
    assert s.plan().prefill == [(a, 8)]


def test_room_counts_computed_cells() -> None:
    s = scheduler(kv_size=64)
    a = sequence("a", 60)
    s.enqueue(a)
    list(s.admit())
    step = s.plan()
    assert step.n_tokens == 60
    assert s.has_room(step)
    a.computed = 10
    assert not s.has_room(step)
