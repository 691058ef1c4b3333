import pytest

from app.cli.bench.client import ChatClient, list_models
from app.cli.bench.events import BadAnswerError
from app.cli.bench.http import Server
from app.cli.bench.records import ChatRequest
from tests.unit.cli.bench.conftest import ClientFor
from tests.unit.cli.bench.fake_server import FakeServer, Fault

HELLO = ChatRequest([{"role": "user", "content": "one two three"}], max_tokens=5)


async def test_a_whole_answer(client_for: ClientFor) -> None:
    seen = 0

    def count() -> None:
        nonlocal seen
        seen += 1

    completion = await client_for().complete(HELLO, count)
    assert completion.error is None
    assert completion.text == "word0 word1 word2 word3 word4 "
    assert len(completion.token_times) == seen == 5
    assert (completion.prompt_tokens, completion.output_tokens) == (10, 5)
    assert completion.cached_tokens == 3
    assert completion.wanted_tokens == 5


async def test_arrival_times(client_for: ClientFor, server: FakeServer) -> None:
    server.token_delay = 0.03
    completion = await client_for().complete(HELLO)
    assert completion.time_to_first is not None
    assert 0.025 < completion.time_to_first < 0.3
    assert all(0.01 < gap < 0.3 for gap in completion.gaps())
    assert completion.finished >= completion.token_times[-1]


async def test_what_is_sent(client_for: ClientFor, server: FakeServer) -> None:
    await client_for().complete(HELLO)
    assert server.headers[0]["Authorization"] == "Bearer secret"
    assert server.bodies[0] == {
        "model": "fake",
        "messages": HELLO.messages,
        "max_tokens": 5,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
        "ignore_eos": True,
    }


async def test_an_answer_under_a_schema_may_end(client_for: ClientFor, server: FakeServer) -> None:
    request = ChatRequest(HELLO.messages, 5, schema={"type": "object"})
    completion = await client_for().complete(request)
    assert "ignore_eos" not in server.bodies[0]
    assert server.bodies[0]["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert completion.wanted_tokens is None


async def test_eos_is_kept_when_asked(client_for: ClientFor, server: FakeServer) -> None:
    completion = await client_for(ignore_eos=False).complete(HELLO)
    assert "ignore_eos" not in server.bodies[0]
    assert completion.wanted_tokens is None


async def test_without_usage_events_are_counted(client_for: ClientFor, server: FakeServer) -> None:
    server.has_usage = False
    completion = await client_for().complete(HELLO)
    assert (completion.prompt_tokens, completion.output_tokens) == (0, 5)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("refuse", "HTTP 429: the queue is full"),
        ("plain refusal", "HTTP 502: <h1>no</h1>"),
        ("error event", "the model fell over"),
        ("cut", "the stream ended before the answer was complete"),
    ],
)
async def test_failures_are_recorded(
    client_for: ClientFor, server: FakeServer, fault: Fault, message: str
) -> None:
    server.fault = fault
    completion = await client_for().complete(HELLO)
    assert completion.error == message
    assert len(completion.token_times) == (2 if fault in {"error event", "cut"} else 0)


async def test_a_finish_reason_is_an_end_too(client_for: ClientFor, server: FakeServer) -> None:
    server.fault = "no end"
    assert (await client_for().complete(HELLO)).error is None


async def test_a_slow_server_times_out(url: str, server: FakeServer) -> None:
    server.token_delay = 5
    client = ChatClient(Server(url, timeout=0.1), "fake", ignore_eos=True)
    assert (await client.complete(HELLO)).error == "the request timed out"


async def test_no_server(unused_tcp_port: int) -> None:
    address = f"http://127.0.0.1:{unused_tcp_port}"
    completion = await ChatClient(Server(address), "fake", ignore_eos=True).complete(HELLO)
    assert completion.error is not None
    assert "cannot connect" in completion.error


async def test_sampling_replaces_greedy(client_for: ClientFor, server: FakeServer) -> None:
    request = ChatRequest(HELLO.messages, 5, sampling={"temperature": 0.8, "top_p": 0.9})
    await client_for().complete(request)
    assert (server.bodies[0]["temperature"], server.bodies[0]["top_p"]) == (0.8, 0.9)


async def test_bytes_of_tokens(client_for: ClientFor, server: FakeServer) -> None:
    completion = await client_for(logprobs=True).complete(HELLO)
    assert server.bodies[0]["logprobs"] is True
    assert completion.tokens == (b"word0 ", b"word1 ", b"word2 ", b"word3 ", b"word4 ")


async def test_models_are_listed(url: str, server: FakeServer) -> None:
    server.models = ["a", "b"]
    for address in (url, f"{url}/", f"{url}/v1", f"{url}/v1/"):
        assert await list_models(Server(address)) == ["a", "b"]
    with pytest.raises(BadAnswerError, match="HTTP 404"):
        await list_models(Server(f"{url}/elsewhere"))
