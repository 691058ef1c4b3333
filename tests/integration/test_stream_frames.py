"""What a stream looks like on the socket, byte for byte."""

from typing import Any

import pytest

from tests.conftest import Start
from tests.support.server import MODEL, Server
from tests.support.wire import Events, open_stream

CHAT = "/v1/chat/completions"
HELLO = {"model": MODEL, "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 24}


def is_lone_frames(piece: bytes) -> bool:
    """Whether a write holds whole frames only."""
    return piece.endswith(b"\n\n")


async def read_all(server: Server, target: str, payload: dict[str, Any]) -> tuple[Events, Any]:
    events = await open_stream(server.port, target, payload)
    chunks = await events.rest()
    await events.close()
    return events, chunks


async def test_headers_and_frames(server: Server) -> None:
    events, chunks = await read_all(server, CHAT, HELLO)
    headers = events.head.headers
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-cache"
    assert headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in headers
    assert headers["x-request-id"]
    assert int(headers["openai-processing-ms"]) >= 0
    whole = b"".join(events.written)
    assert whole.endswith(b"\n\ndata: [DONE]\n\n")
    assert whole.count(b"[DONE]") == 1
    assert b"\r" not in whole
    for piece in events.written:
        assert is_lone_frames(piece), piece
        piece.decode()
    assert len(events.written) > 2, "the answer came in one piece"
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1


async def test_deltas(server: Server) -> None:
    _, chunks = await read_all(server, CHAT, HELLO)
    for chunk in chunks:
        assert chunk["object"] == "chat.completion.chunk"
        assert "error" not in chunk
        assert chunk.get("usage") is None
        assert [choice["index"] for choice in chunk["choices"]] == [0]
    choices = [chunk["choices"][0] for chunk in chunks]
    assert choices[0]["delta"]["role"] == "assistant"
    assert not choices[0]["delta"]["content"]
    assert choices[-1]["delta"] == {}
    assert choices[-1]["finish_reason"] in {"stop", "length"}
    for choice in choices[1:-1]:
        assert choice["finish_reason"] is None
        assert "role" not in choice["delta"]
        assert choice["delta"]["content"]


async def test_usage_is_the_last_chunk(server: Server) -> None:
    asked = {**HELLO, "stream_options": {"include_usage": True}}
    _, chunks = await read_all(server, CHAT, asked)
    assert chunks[-1]["choices"] == []
    usage = chunks[-1]["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert 0 <= usage["prompt_tokens_details"]["cached_tokens"] <= usage["prompt_tokens"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 0
    assert all(chunk.get("usage") is None for chunk in chunks[:-1])


async def test_choices_open_in_order(server: Server) -> None:
    _, chunks = await read_all(server, CHAT, {**HELLO, "n": 4, "seed": 1})
    opened: list[int] = []
    for chunk in chunks:
        for choice in chunk["choices"]:
            if choice["index"] not in opened:
                opened.append(choice["index"])
                assert choice["delta"]["role"] == "assistant"
    assert opened == [0, 1, 2, 3]
    ended = [c["index"] for chunk in chunks for c in chunk["choices"] if c["finish_reason"]]
    assert sorted(ended) == [0, 1, 2, 3]


async def test_no_half_characters(server: Server) -> None:
    """Random weights say single bytes at random: every one of them must wait for its character."""
    asked = {
        "model": "random",
        "prompt": "the llama said: ",
        "max_tokens": 400,
        "temperature": 2.0,
        "top_k": 0,
        "top_p": 1.0,
        "min_p": 0.0,
        "seed": 5,
        "ignore_eos": True,
    }
    events, chunks = await read_all(server, "/v1/completions", asked)
    for piece in events.written:
        piece.decode()
    assert all(chunk["choices"][0]["text"] for chunk in chunks[:-1])
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("stop", ["the", ["of", "and", "o"], " "])
async def test_no_half_stop_strings(server: Server, stop: str | list[str]) -> None:
    asked = {
        "model": "random",
        "prompt": "the llama said: ",
        "max_tokens": 600,
        "temperature": 1.5,
        "top_k": 0,
        "min_p": 0.0,
        "seed": 9,
        "ignore_eos": True,
        "stop": stop,
    }
    _, chunks = await read_all(server, "/v1/completions", asked)
    text = "".join(chunk["choices"][0]["text"] for chunk in chunks)
    for word in [stop] if isinstance(stop, str) else stop:
        assert word not in text
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


async def test_completion_chunks(server: Server) -> None:
    asked = {"model": MODEL, "prompt": "Once", "max_tokens": 8, "temperature": 0}
    events, chunks = await read_all(server, "/v1/completions", asked)
    assert events.head.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert all(chunk["object"] == "text_completion" for chunk in chunks)
    assert all(chunk["id"].startswith("cmpl-") for chunk in chunks)
    assert chunks[-1]["choices"][0]["finish_reason"] in {"stop", "length"}


async def test_pings_are_comments(start: Start) -> None:
    """A prompt that takes a while is silence; a comment fills it, and clients skip it."""
    server = start(LLM_SSE_PING_INTERVAL="0.02")
    words = "Once upon a time there was a llama that liked to walk. " * 200
    asked = {**HELLO, "messages": [{"role": "user", "content": words}]}
    events, chunks = await read_all(server, CHAT, asked)
    assert set(events.comments) == {b": ping"}
    assert chunks[-1]["choices"][0]["finish_reason"]
    raw = {"model": MODEL, "prompt": words, "max_tokens": 4}
    events, chunks = await read_all(server, "/v1/completions", raw)
    assert set(events.comments) == {b": ping"}
    assert chunks[-1]["choices"][0]["finish_reason"]
