from app.cli.bench.counters import Counters, parse_counters, read_counters
from app.cli.bench.http import Server

TEXT = """\
# HELP corral_engine_steps_total Steps of the engine.
corral_engine_steps_total{model="other"} 9.0
corral_engine_steps_total{model="mine"} 4.0
corral_engine_overhead_seconds_total{model="mine"} 0.25
corral_prompt_tokens_computed_total{model="mine"} 1e+03
process_open_fds 12
"""


def test_counters_are_those_of_the_model() -> None:
    assert parse_counters(TEXT, "mine") == Counters(1000, 4, 0.25)
    assert parse_counters(TEXT, "other") is None
    assert parse_counters("<h1>what?</h1>", "mine") is None


def test_without_steps_there_is_no_time_per_step() -> None:
    assert Counters(1, 2, 3) - Counters(1, 2, 3) == Counters(0, 0, 0)
    assert Counters(0, 0, 0).outside_ms_per_step is None


async def test_they_are_read_beside_the_api(url: str) -> None:
    assert await read_counters(Server(f"{url}/v1"), "fake") == Counters(0, 0, 0)
    assert await read_counters(Server(f"{url}/elsewhere"), "fake") is None


async def test_no_server_has_no_counters(unused_tcp_port: int) -> None:
    assert await read_counters(Server(f"http://127.0.0.1:{unused_tcp_port}"), "fake") is None
