from app.engine.budget import PrefillBudget
from app.engine.step_times import StepTimes


def budget(times: StepTimes, target: float = 0.4) -> PrefillBudget:
    return PrefillBudget(times, target_seconds=target, start=128, most=512)


def measured() -> StepTimes:
    """Two milliseconds a prompt token, 32 a step of four rows."""
    times = StepTimes()
    times.observe(0, 128, 0.256)
    times.observe(4, 0, 0.032)
    return times


def test_before_anything_is_measured_only_streams_are_protected() -> None:
    assert budget(StepTimes()).tokens(4) == 128
    assert budget(StepTimes()).tokens(0) == 512


def test_whole_tiles_that_fit_beside_the_turn_of_the_streams() -> None:
    assert budget(measured()).tokens(4) == 128
    assert budget(measured(), 0.42).tokens(4) == 192


def test_who_comes_while_nobody_decodes_does_not_wait_for_long_either() -> None:
    assert budget(measured()).tokens(0) == 192


def test_prompts_get_on_where_the_streams_alone_take_too_long() -> None:
    assert budget(measured(), 0.01).tokens(4) == 64


def test_two_tiles_are_read_where_no_stream_waits() -> None:
    assert budget(measured(), 0.01).tokens() == 128


def test_no_target_is_no_bound() -> None:
    assert budget(measured(), 0).tokens(4) == 512


def test_a_step_of_few_prompt_tokens_says_nothing_about_their_cost() -> None:
    times = measured()
    times.observe(0, 16, 0.1)
    assert budget(times).tokens(0) == 192


def test_a_prompt_that_grows_dearer_is_believed_at_once_a_cheaper_one_by_halves() -> None:
    times = measured()
    times.observe(0, 128, 0.512)
    assert times.prompt_token == 0.004
    times.observe(0, 128, 0.256)
    assert times.prompt_token == 0.003
