import asyncio
import json
from typing import Any

from app.cli.bench.command import WORKLOAD_NAMES
from app.cli.bench.prompts import Calibration, PromptWriter
from app.cli.bench.stats import Observation
from app.cli.bench.workloads import WORKLOADS, Pass, Sizes, build_workloads
from tests.unit.cli.bench.conftest import ClientFor
from tests.unit.cli.bench.fake_server import TEMPLATE_TOKENS, FakeServer
from tests.unit.cli.bench.test_schema import GOOD

WRITER = PromptWriter(Calibration(1.0, TEMPLATE_TOKENS, measured=True), seed=0)
SIZES = Sizes((4,), max_tokens=6)


async def run(client_for: ClientFor, name: str, sizes: Sizes = SIZES) -> tuple[Observation, int]:
    """Run the last workload of a name; also tell how many requests it announced."""
    workload = build_workloads([name], sizes)[-1]
    ended: list[None] = []
    one_pass = Pass(client_for(), WRITER, name, lambda: ended.append(None))
    seen = await workload.run(one_pass)
    assert len(ended) == len(seen.completions) == workload.requests
    return seen, workload.streams


def prompts(server: FakeServer) -> list[str]:
    return [body["messages"][-1]["content"] for body in server.bodies]


async def test_decode_keeps_its_streams_busy(client_for: ClientFor, server: FakeServer) -> None:
    server.token_delay = 0.002
    seen, streams = await run(client_for, "decode")
    assert server.most_running == streams == 4
    assert {done.output_tokens for done in seen.completions} == {6}
    assert len(set(prompts(server))) == 8


async def test_prefill_sends_long_prompts_that_differ(
    client_for: ClientFor, server: FakeServer
) -> None:
    seen, _ = await run(client_for, "prefill")
    assert {done.prompt_tokens for done in seen.completions} == {1000}
    assert len({prompt.split()[0] for prompt in prompts(server)}) > 4


async def test_shared_prefix(client_for: ClientFor, server: FakeServer) -> None:
    await run(client_for, "shared-prefix")
    parts = [prompt.split("\n\n") for prompt in prompts(server)]
    assert len({prefix for prefix, _ in parts}) == 1
    assert len({question for _, question in parts}) == 16


async def test_multi_turn_sends_the_real_answers_back(
    client_for: ClientFor, server: FakeServer
) -> None:
    server.answer = "an answer"
    await run(client_for, "multi-turn")
    longest = max((body["messages"] for body in server.bodies), key=len)
    assert [message["role"] for message in longest] == ["user", "assistant"] * 4 + ["user"]
    assert {message["content"] for message in longest[1::2]} == {"an answer"}


async def test_interference_measures_the_long_prompt_alone(
    client_for: ClientFor, server: FakeServer
) -> None:
    server.token_delay = 0.001
    seen, _ = await run(client_for, "interference")
    late = seen.completions[-1]
    assert late.prompt_tokens == 2000
    assert seen.first_token_times == [late.time_to_first]
    assert 0 < len(seen.gaps) < 40
    assert all(done.token_times[7] <= late.started for done in seen.completions[:-1])


async def test_interference_ends_when_streams_fail(
    client_for: ClientFor, server: FakeServer
) -> None:
    server.fault = "refuse"
    seen, _ = await asyncio.wait_for(run(client_for, "interference"), timeout=5)
    assert all(done.error for done in seen.completions)


async def test_json_answers_are_checked(client_for: ClientFor, server: FakeServer) -> None:
    server.answer = json.dumps(GOOD | {"price": -1})
    workload = build_workloads(["json-schema"], SIZES)[-1]
    seen = await workload.run(Pass(client_for(), WRITER, "key", lambda: None))
    assert sum(done.error is not None for done in seen.completions) == 12
    assert seen.plain == []


async def test_json_answers_are_repeated_without_the_schema(
    client_for: ClientFor, server: FakeServer
) -> None:
    server.answer = json.dumps(GOOD)
    workload = build_workloads(["json-schema"], SIZES)[-1]
    seen = await workload.run(Pass(client_for(), WRITER, "key", lambda: None))
    assert len(seen.completions) == len(seen.plain) == 12
    assert len(set(prompts(server))) == 25, "and one before, for the caches"
    bodies = server.bodies[13:]
    assert all("response_format" not in body and body["ignore_eos"] for body in bodies)
    assert {body["max_tokens"] for body in bodies} == {2}
    assert len({len(prompt.split()) for prompt in prompts(server)}) == 1


async def test_crowded_chats_take_turns(client_for: ClientFor, server: FakeServer) -> None:
    server.token_delay = 0.001
    seen, streams = await run(client_for, "crowded-chats")
    assert server.most_running == streams == 8
    assert len(seen.completions) == 24 * 4
    # Every chat has its turn before any has its next.
    turns = [len(body["messages"]) // 2 for body in server.bodies]
    assert turns[:24] == [0] * 24
    assert sorted(turns) == [turn for turn in range(4) for _ in range(24)]


async def test_sampling_is_not_greedy(client_for: ClientFor, server: FakeServer) -> None:
    await run(client_for, "sampling")
    assert {body["temperature"] for body in server.bodies} == {0.8}
    assert {body["seed"] for body in server.bodies} == set(range(16))


async def test_health_is_asked_while_streams_run(client_for: ClientFor, server: FakeServer) -> None:
    server.token_delay = 0.03
    seen, _ = await run(client_for, "health")
    assert server.most_running == 16
    assert len(seen.probe_times) >= 2
    assert all(0 < seconds < 1 for seconds in seen.probe_times)


async def test_passes_never_share_prompts(client_for: ClientFor, server: FakeServer) -> None:
    workload = build_workloads(["decode"], SIZES)[0]
    for key in ("first", "second"):
        await workload.run(Pass(client_for(), WRITER, key, lambda: None))
    assert len(set(prompts(server))) == 16


def test_scale_never_starves_a_stream() -> None:
    small = build_workloads(WORKLOAD_NAMES, Sizes((1, 16), scale=0.01))
    assert all(workload.requests >= workload.streams for workload in small)
    large: Any = build_workloads(["prefill"], Sizes((1,), scale=3))
    assert large[0].requests == 24


def test_the_command_names_every_workload() -> None:
    assert tuple(WORKLOADS) == WORKLOAD_NAMES
