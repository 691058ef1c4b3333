"""Guesses: who makes them, when they pay, and that they change nothing but the number of steps."""

import numpy as np
import pytest

from app.core.options import DraftMethod
from app.core.requests import SamplingParams
from app.engine.messages import (
    EngineConfig,
    Output,
    SequenceCancelled,
    SequenceFinished,
    SequenceOutput,
    SequenceSpec,
    Submit,
)
from app.engine.sequence import Sequence
from app.engine.speculation.drafters import ModelDrafter, NgramDrafter
from app.engine.speculation.gate import Gate, Record
from app.engine.step_times import StepTimes
from app.engine.worker import Worker
from tests.support.fake_runtime import FakeRuntime, answer

PROMPT = [5, 6, 7]


def make_spec(
    name: str = "s",
    *,
    prompt: list[int] = PROMPT,
    speculation: DraftMethod | None = None,
    prediction: tuple[int, ...] = (),
) -> SequenceSpec:
    return SequenceSpec(
        name,
        tuple(prompt),
        30,
        SamplingParams(temperature=0),
        speculation=speculation,
        prediction=prediction,
    )


def run(
    *specs: SequenceSpec, draft: FakeRuntime | None = None, max_outputs: int = 32
) -> tuple[FakeRuntime, list[Output]]:
    """Without the gate: every guess is computed."""
    runtime, outputs = FakeRuntime(max_outputs=max_outputs, batch_capacity=64), list[Output]()

    def deliver(new: list[Output | SequenceCancelled]) -> None:
        outputs.extend(output for output in new if not isinstance(output, SequenceCancelled))

    config = EngineConfig(step_tokens=24, draft_tokens=4, gates_speculation=False)
    worker = Worker(runtime, config, deliver, draft=draft)
    for spec in specs:
        worker.send(Submit(spec))
    while worker.step():
        pass
    return runtime, outputs


def text_of(outputs: list[Output], name: str = "s") -> str:
    said = (o for o in outputs if isinstance(o, SequenceOutput) and o.id == name)
    return "".join(output.text for output in said)


def end_of(outputs: list[Output]) -> SequenceFinished:
    return next(output for output in outputs if isinstance(output, SequenceFinished))


def spelled(tokens: list[int]) -> str:
    return "".join(chr(96 + token) for token in tokens)


def test_a_right_prediction_saves_steps_and_changes_nothing() -> None:
    right = answer(PROMPT, 30)
    runtime, outputs = run(make_spec(speculation="ngram", prediction=tuple(right)))
    assert text_of(outputs) == spelled(right)
    assert len(runtime.steps) == 6, "five tokens a step"
    assert (end_of(outputs).accepted_tokens, end_of(outputs).rejected_tokens) == (24, 0)


@pytest.mark.parametrize("wrong", range(30))
def test_a_wrong_token_in_the_prediction_changes_nothing(wrong: int) -> None:
    right = answer(PROMPT, 30)
    prediction = [*right[:wrong], right[wrong] % 26 + 1, *right[wrong + 1 :]]
    runtime, outputs = run(make_spec(speculation="ngram", prediction=tuple(prediction)))
    assert text_of(outputs) == spelled(right)
    assert len(runtime.steps) < 20
    assert end_of(outputs).n_tokens == 30
    assert runtime.cells_used == 0


def test_a_small_model_that_thinks_alike_is_always_right() -> None:
    draft = FakeRuntime(max_outputs=32, batch_capacity=16)
    specs = [make_spec(f"s{i}", prompt=[i + 1] * 20, speculation="model") for i in range(3)]
    runtime, outputs = run(*specs, draft=draft)
    for spec in specs:
        assert text_of(outputs, spec.id) == spelled(answer(spec.prompt, 30))
    ends = [output for output in outputs if isinstance(output, SequenceFinished)]
    assert sum(end.accepted_tokens for end in ends) > 60
    assert sum(end.rejected_tokens for end in ends) == 0
    assert len(runtime.steps) < 20
    assert draft.cells_used == 0
    assert draft.is_closed is False


def test_a_small_model_without_room_gives_no_guesses() -> None:
    draft = FakeRuntime(max_outputs=32, batch_capacity=16)
    draft.refuse_decodes = 10**6
    _, outputs = run(make_spec(speculation="model"), draft=draft)
    assert text_of(outputs) == spelled(answer(PROMPT, 30))
    assert end_of(outputs).accepted_tokens == 0


def test_two_ways_to_guess_share_the_rows_of_one_step() -> None:
    right = tuple(answer(PROMPT, 30))
    specs = [
        make_spec("n0", speculation="ngram", prediction=right),
        make_spec("n1", speculation="ngram", prediction=right),
        make_spec("m0", prompt=[9] * 3, speculation="model"),
        make_spec("m1", prompt=[8] * 3, speculation="model"),
    ]
    draft = FakeRuntime(max_outputs=32, batch_capacity=64)
    _, outputs = run(*specs, draft=draft, max_outputs=12)  # all would guess 16 beside their own 4
    for spec in specs:
        assert text_of(outputs, spec.id) == spelled(answer(spec.prompt, 30))


def sequence(tokens: list[int], prediction: tuple[int, ...] = ()) -> Sequence:
    return Sequence.from_spec(make_spec(prompt=tokens, prediction=prediction))


@pytest.mark.parametrize(
    ("text", "guess"),
    [
        ([1, 2, 3, 4, 5, 1, 2, 3], [4, 5, 1]),
        ([1, 2, 3, 9, 8, 7, 1, 2, 3, 5, 5, 5, 1, 2, 3], [5, 5, 5]),  # the latest place
        ([4, 1, 2, 3, 9, 9, 9, 1, 2, 3, 7, 7, 4, 1, 2, 3], [9, 9, 9]),  # the longest match
        ([1, 2, 3, 4], []),
        ([1], []),
        ([6, 6, 6, 6], [6]),
    ],
)
def test_prompt_lookup(text: list[int], guess: list[int]) -> None:
    assert NgramDrafter().draft([sequence(text)], 3) == [guess]


def test_a_prediction_is_read_from_its_beginning_and_then_looked_up() -> None:
    guessing = sequence([1, 2, 3], prediction=(9, 8, 7, 6))
    assert NgramDrafter().draft([guessing], 2) == [[9, 8]]
    guessing.append(9)
    assert NgramDrafter().draft([guessing], 2) == [[8, 7]]
    guessing.append(8)
    assert NgramDrafter().draft([guessing], 2) == [[7, 6]]


def test_the_small_model_reads_long_texts_in_parts_and_goes_back() -> None:
    runtime = FakeRuntime(batch_capacity=16, max_outputs=8)
    drafter = ModelDrafter(runtime)
    reader = sequence([3] * 30)
    reader.slot = 2
    assert drafter.draft([reader], 1) == [None]
    assert drafter.draft([reader], 2) == [answer([3] * 30, 2)]
    reader.append(1)  # another token than it thought
    assert drafter.draft([reader], 2) == [answer([*[3] * 30, 1], 2)]
    drafter.leave(2)
    assert runtime.cells_used == 0


def times(**seconds: float) -> StepTimes:
    measured = StepTimes()
    for rows, value in seconds.items():
        measured.observe(int(rows[1:]), 0, value)
    return measured


def test_the_gate_opens_where_rows_are_cheap_and_guesses_good() -> None:
    gate = Gate(times(r1=10.0, r5=12.0))
    assert gate.choose(1, 1, [(Record(chance=0.8), 4)]) == [4]


def test_the_gate_stays_shut_where_rows_cost_their_time() -> None:
    gate = Gate(times(r1=10.0, r2=18.0, r3=26.0, r4=33.0, r5=40.0))
    gate.pass_time(1e6)
    assert gate.choose(1, 1, [(Record(chance=0.8), 4)]) == [0]


def test_the_gate_takes_only_the_guesses_that_pay() -> None:
    gate = Gate(times(r2=10.0, r3=12.0, r10=30.0))
    assert gate.choose(2, 2, [(Record(chance=0.4), 4), (Record(chance=0.95), 4)]) == [0, 4]


def test_unknown_costs_are_tried_row_by_row_with_time_that_was_saved_up() -> None:
    measured = times(r1=10.0)
    gate, offer = Gate(measured), [(Record(chance=0.9), 4)]
    assert gate.choose(1, 1, offer) == [1], "the first try needs no savings"
    measured.observe(2, 0, 20.0)
    assert gate.choose(1, 1, offer) == [0], "it does not pay, and two more rows may waste 20"
    gate._for_tries = 25.0
    assert gate.choose(1, 1, offer) == [2]
    assert gate.choose(1, 1, offer) == [0], "and not again at once"
    measured.observe(3, 0, 11.0)
    assert gate.choose(1, 1, offer) == [4], "what a row cost last is what more are thought to cost"


@pytest.mark.parametrize("making", [0.00001, 0.0005, 0.003])
def test_rows_that_turn_out_cheap_are_found_and_used(making: float) -> None:
    """Steps of 10 ms, of 11 with guesses, which are mostly right and take `making` s to make."""
    measured = StepTimes()
    gate, record, guessed = Gate(measured), Record(chance=0.95), 0
    for _ in range(5_000):
        count = 0
        if gate.may_guess():
            (count,) = gate.choose(1, 1, [(record, 4)])
            gate.settle(1, 1, [(record, count)], making)
        guessed += count > 0
        seconds = 0.011 if count else 0.01
        measured.observe(1 + count, 0, seconds)
        gate.pass_time(seconds)
    assert guessed > 3_000


def test_who_sends_a_prediction_is_guessed_for_once_at_least() -> None:
    gate = Gate(times(r1=1.0))
    gate.settle(1, 1, [], 10.0)
    assert not gate.may_guess()
    assert gate.may_guess(is_asked=True)


def test_nothing_is_guessed_before_a_step_was_measured() -> None:
    measured = StepTimes()
    assert not Gate(measured).may_guess(is_asked=True)
    measured.observe(1, 0, 1.0)
    assert Gate(measured).may_guess()


def test_guesses_that_pay_are_made_in_every_step() -> None:
    gate = Gate(times(r1=10.0, r5=12.0))
    for _ in range(100):
        assert gate.may_guess()
        gate.settle(1, 1, [(Record(chance=0.8), 4)], 1.0)


def count_useless(gate: Gate, *, step: float, making: float) -> int:
    """How often guesses are made in 10,000 steps of which none computes any; times in seconds."""
    made = 0
    for _ in range(10_000):
        if gate.may_guess():
            made += 1
            gate.settle(1, 1, [(Record(), 0)], making)
        gate.pass_time(step)
    return made


def test_guesses_that_never_pay_take_next_to_no_time() -> None:
    gate = Gate(times(r1=10.0, r5=50.0))
    made = count_useless(gate, step=10.0, making=2.0)
    assert 245 <= made <= 255, "2 s each in 100,000 s"


def test_guesses_that_cost_more_than_they_save_are_given_up() -> None:
    gate = Gate(times(r1=10.0, r5=12.0))
    record = Record(chance=0.8)  # four save 21.6 s
    gate.settle(1, 1, [(record, 4)], 30.0)
    assert not gate.may_guess()


def test_what_guesses_save_pays_for_looking_where_there_are_none() -> None:
    gate = Gate(times(r1=0.01, r5=0.012))
    gate.settle(1, 1, [(Record(chance=0.8), 4)], 0.001)
    for _ in range(9):
        assert gate.may_guess()
        gate.settle(1, 1, [(Record(chance=0.8), 0)], 0.001)


def test_good_times_do_not_make_bad_ones_long() -> None:
    gate = Gate(times(r1=0.01, r5=0.012))
    for _ in range(10_000):
        gate.settle(1, 1, [(Record(chance=0.8), 4)], 0.001)
    made = count_useless(gate, step=0.01, making=0.01)
    assert made == pytest.approx(50 + 50, abs=3), "half a second, and a two-hundredth of 100 s"


def test_reading_on_is_free_only_where_guesses_paid() -> None:
    gate = Gate(times(r1=10.0))
    gate.settle_reading(100.0)
    assert gate.may_guess()
    gate.settle(1, 1, [(Record(), 0)], 0.05)
    gate.pass_time(10.0)
    assert gate.may_guess()
    gate.settle_reading(100.0)
    gate.pass_time(10.0)
    assert not gate.may_guess()


def test_bad_guesses_are_not_tried() -> None:
    gate = Gate(times(r1=10.0))
    gate._for_tries = 1e9
    assert gate.choose(1, 1, [(Record(chance=0.02), 4)]) == [0]


def test_guesses_that_are_only_compared_teach_too() -> None:
    record = Record()
    for _ in range(30):
        record.shadow = [1, 2, 3]
        for token in (1, 2, 9):
            record.compare(token)
    assert 0.5 < record.chance < 0.8
    assert record.judged == 90
    record.shadow = [1, 2, 3]
    record.compare(7)
    assert record.shadow == [], "what follows a wrong guess says nothing"


def test_times_between_and_beyond_measurements() -> None:
    assert times(r2=10.0).decode(4) == 20.0
    known = times(r2=10.0, r4=16.0)
    assert [known.decode(rows) for rows in (0, 1, 2, 3, 4, 8)] == [0, 10.0, 10.0, 13.0, 16.0, 28.0]
    known.observe(5, 0, 4.0)
    assert known.decode(9) == 4.0, "more rows cost no less"
    known.observe(2, 100, 110.0)
    assert known.prompt_token == pytest.approx(1.0)
    assert np.isfinite(known.decode(1000))
