import pytest

from app.cli.bench.stats import Figures
from app.engine.messages import EngineConfig
from scripts.bench_policy import WORKLOADS, simulate


def run(name: str, step_seconds: float = 0.4) -> Figures:
    return simulate(name, EngineConfig(step_seconds=step_seconds), scale=0.3, seed=1)


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_ends_and_every_answer_is_whole(name: str) -> None:
    figures = run(name)
    assert figures.errors == 0
    assert figures.short_answers == 0
    assert figures.seconds > 0


def test_the_same_seed_gives_the_same_figures() -> None:
    assert run("crowded-chats") == run("crowded-chats")


def test_a_running_stream_waits_as_long_as_the_latency_says() -> None:
    steady, quick = run("interference", 0.4), run("interference", 0.8)
    assert (steady.gap_p50_ms or 0) < 400
    assert (steady.gap_max_ms or 0) < 480, "prompts cost more the longer they grow"
    assert 600 < (quick.gap_p50_ms or 0) < 850
    assert (quick.ttft_p50_ms or 0) < 0.97 * (steady.ttft_p50_ms or 0)


def test_streams_that_answer_a_few_words_are_let_through_a_crowd() -> None:
    """Half of all first tokens come within two steps of a prompt and the streams beside it."""
    assert (run("crowded-chats").ttft_p50_ms or 0) < 400
