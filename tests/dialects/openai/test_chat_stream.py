"""Streaming chat, point by point as OpenAI's clients need it (the numbers are ours)."""

import asyncio
import json
from typing import Any

import pytest

from app.core.errors import EngineFailed, QueueFull, QueueTimeout
from tests.unit.api.served import Served, chat, frames, serve
from tests.unit.services.scripted import Script

PATH = "/v1/chat/completions"
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "weather", "parameters": {}}}
]
CALL = '<tool_call>{"name": "weather", "arguments": {"city": "Paris"}}</tool_call>'


async def stream(served: Served, **fields: Any) -> list[dict[str, Any]]:
    return frames(await served.post(PATH, chat(stream=True, **fields)))


def deltas(chunks: list[dict[str, Any]], choice: int = 0) -> list[dict[str, Any]]:
    return [c["choices"][0]["delta"] for c in chunks if c["choices"][0]["index"] == choice]


async def test_golden_bytes() -> None:
    response = await serve().post(PATH, chat(stream=True))
    first = json.loads(response.text.split("\n\n")[0].removeprefix("data: "))
    head = (
        f'data: {{"id":"{first["id"]}","object":"chat.completion.chunk",'
        f'"created":{first["created"]},"model":"org/tiny:q8","system_fingerprint":"b1234",'
        '"choices":[{"index":0,"delta":'
    )
    tail = ',"logprobs":null,"finish_reason":'
    assert response.text == (
        f'{head}{{"role":"assistant","content":""}}{tail}null}}]}}\n\n'
        f'{head}{{"content":"Hel"}}{tail}null}}]}}\n\n'
        f'{head}{{"content":"lo"}}{tail}null}}]}}\n\n'
        f'{head}{{}}{tail}"stop"}}]}}\n\n'
        "data: [DONE]\n\n"
    )


async def test_point_01_headers_and_frames() -> None:
    response = await serve().post(PATH, chat(stream=True))
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    assert "content-length" not in response.headers
    assert response.text.endswith("\n\ndata: [DONE]\n\n")
    assert all(line.startswith("data: ") for line in response.text.split("\n\n")[:-1])


async def test_point_03_errors_before_the_first_token_are_http_errors() -> None:
    late = await serve(Script((), failure=QueueTimeout("late", retry_after=2))).post(
        PATH, chat(stream=True)
    )
    assert (late.status_code, late.json()["error"]["code"]) == (503, "queue_timeout")
    served = serve()
    served.engine.refusal = QueueFull("full", retry_after=3)
    full = await served.post(PATH, chat(stream=True))
    assert (full.status_code, full.headers["retry-after"]) == (429, "3")


async def test_point_03_errors_after_it_are_the_last_frame() -> None:
    served = serve(Script(("a",), failure=EngineFailed("The engine is gone.")))
    response = await served.post(PATH, chat(stream=True))
    assert response.status_code == 200
    lines = response.text.split("\n\n")
    assert lines[-1] == ""
    assert json.loads(lines[-2].removeprefix("data: ")) == {
        "error": {
            "message": "The engine is gone.",
            "type": "server_error",
            "param": None,
            "code": "engine_failed",
        }
    }
    assert "[DONE]" not in response.text
    assert all("error" not in json.loads(line[6:]) for line in lines[:-2])


async def test_point_04_the_head_is_the_same_in_every_chunk() -> None:
    chunks = await stream(serve(), n=2, stream_options={"include_usage": True})
    heads = {(c["id"], c["created"], c["model"], c["object"]) for c in chunks}
    assert len(heads) == 1
    assert chunks[0]["id"].startswith("chatcmpl-")
    assert chunks[0]["object"] == "chat.completion.chunk"


async def test_point_05_every_chunk_has_choices() -> None:
    chunks = await stream(serve(), stream_options={"include_usage": True})
    assert all(isinstance(chunk["choices"], list) for chunk in chunks)


async def test_point_06_the_first_delta_has_the_role() -> None:
    assert deltas(await stream(serve()))[0] == {"role": "assistant", "content": ""}


async def test_point_07_role_only_in_first_delta() -> None:
    later = deltas(await stream(serve()))[1:]
    assert all("role" not in delta for delta in later)


async def test_point_08_no_empty_deltas() -> None:
    served = serve(Script(("", "a", "", "b")))
    middle = deltas(await stream(served))[1:-1]
    assert middle == [{"content": "a"}, {"content": "b"}]


async def test_point_09_the_final_chunk() -> None:
    chunks = await stream(serve())
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons == [None, None, None, "stop"]
    assert chunks[-1]["choices"][0]["delta"] == {}


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (Script(reason="length"), "length"),
        (Script((CALL,)), "tool_calls"),
        (Script((CALL,), reason="length"), "length"),
    ],
)
async def test_point_10_finish_reasons(script: Script, reason: str) -> None:
    chunks = await stream(serve(script), tools=TOOLS)
    assert chunks[-1]["choices"][0]["finish_reason"] == reason


async def test_point_11_content_is_a_string() -> None:
    for delta in deltas(await stream(serve(), logprobs=True)):
        assert isinstance(delta.get("content", ""), str)


async def test_point_12_choices_begin_in_order() -> None:
    served = serve(Script(start_delay=0.02), Script(), Script())
    chunks = await stream(served, n=3)
    assert [chunk["choices"][0]["index"] for chunk in chunks[:3]] == [0, 1, 2]
    assert all(len(deltas(chunks, choice)) == 4 for choice in range(3))


async def test_points_13_to_16_tool_call_deltas() -> None:
    pieces = ("I look. ", *CALL, "\n", *CALL)
    chunks = await stream(serve(Script(tuple(pieces))), tools=TOOLS)
    calls = [delta["tool_calls"] for delta in deltas(chunks) if "tool_calls" in delta]
    assert all(len(call) == 1 for call in calls)
    starts = [call[0] for call in calls if "id" in call[0]]
    assert [start["index"] for start in starts] == [0, 1]
    assert len({start["id"] for start in starts}) == 2
    for start in starts:
        assert start["id"].startswith("call_")
        assert start["type"] == "function"
        assert start["function"] == {"name": "weather", "arguments": ""}
    for call in calls:
        if "id" not in call[0]:
            assert set(call[0]) == {"index", "function"}
            assert set(call[0]["function"]) == {"arguments"}
    for index in (0, 1):
        parts = [c[0]["function"]["arguments"] for c in calls if c[0]["index"] == index]
        assert json.loads("".join(parts)) == {"city": "Paris"}
    content = "".join(delta.get("content", "") for delta in deltas(chunks))
    assert content == "I look."


async def test_point_14_no_arguments_are_an_empty_object() -> None:
    served = serve(Script(('<tool_call>{"name": "weather"}</tool_call>',)))
    chunks = await stream(served, tools=TOOLS)
    calls = [
        d["tool_calls"][0]["function"]["arguments"] for d in deltas(chunks) if "tool_calls" in d
    ]
    assert calls == ["", "{}"]


async def test_point_19_a_malformed_call_is_content() -> None:
    served = serve(Script(("<tool_call>", "oops")))
    chunks = await stream(served, tools=TOOLS)
    assert "".join(d.get("content", "") for d in deltas(chunks)) == "<tool_call>oops"
    assert ("tool_parse_failure", "hermes") in served.metrics.calls


async def test_point_21_reasoning_has_its_own_field() -> None:
    served = serve(Script(("<think>", "hm", "</think>", "ok")), template="{{ 1 }}</think>")
    found = deltas(await stream(served))
    assert found[1:-1] == [{"reasoning_content": "hm"}, {"content": "ok"}]


async def test_point_23_usage_is_the_last_chunk() -> None:
    served = serve(Script(cached_tokens=3))
    chunks = await stream(served, stream_options={"include_usage": True})
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {
        "prompt_tokens": 22,
        "completion_tokens": 2,
        "total_tokens": 24,
        "prompt_tokens_details": {"cached_tokens": 3},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    assert all("usage" not in chunk for chunk in chunks[:-1])


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_usage": None}])
async def test_point_24_no_usage_unless_asked(options: object) -> None:
    chunks = await stream(serve(), stream_options=options)
    assert all("usage" not in chunk for chunk in chunks)


async def test_point_25_reasoning_tokens() -> None:
    served = serve(Script(("<think>", "hm", "</think>", "ok")), template="{{ 1 }}</think>")
    chunks = await stream(served, stream_options={"include_usage": True})
    usage = chunks[-1]["usage"]
    assert usage["completion_tokens"] == 4
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 3


async def test_guesses_are_counted() -> None:
    served = serve(
        Script(("a", "b"), accepted_tokens=1, rejected_tokens=4),
        Script(("a", "b", "c"), accepted_tokens=2),
    )
    asked = {"n": 2, "stream_options": {"include_usage": True}}
    usage = (await stream(served, **asked))[-1]["usage"]
    assert usage["completion_tokens"] == 5
    assert usage["completion_tokens_details"] == {
        "reasoning_tokens": 0,
        "accepted_prediction_tokens": 3,
        "rejected_prediction_tokens": 4,
    }
    assert usage["total_tokens"] == usage["prompt_tokens"] + 5


@pytest.mark.parametrize(
    ("sent", "told"),
    [("auto", "default"), ("default", "default"), ("priority", "default"), ("flex", "flex")],
)
async def test_every_chunk_names_the_service_tier(sent: str, told: str) -> None:
    chunks = await stream(serve(), service_tier=sent, stream_options={"include_usage": True})
    assert {chunk["service_tier"] for chunk in chunks} == {told}
    assert all("service_tier" not in chunk for chunk in await stream(serve()))


async def test_point_26_logprobs() -> None:
    chunks = await stream(serve(), logprobs=True, top_logprobs=2)
    told = chunks[1]["choices"][0]["logprobs"]
    assert told == {
        "content": [
            {
                "token": "Hel",
                "logprob": -0.5,
                "bytes": [72, 101, 108],
                "top_logprobs": [
                    {"token": "Hel", "logprob": -0.5, "bytes": [72, 101, 108]},
                    {"token": "other", "logprob": -9999.0, "bytes": list(b"other")},
                ],
            }
        ],
        "refusal": None,
    }


async def test_one_step_is_one_write() -> None:
    served = serve(Script(("a", "b"), is_together=True))
    sent: list[bytes] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            sent.append(message["body"])

    body = json.dumps(chat(stream=True)).encode()
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop()

    scope: dict[str, Any] = {
        "type": "http", "method": "POST", "path": PATH, "raw_path": PATH.encode(),
        "query_string": b"", "headers": [], "root_path": "", "scheme": "http",
    }  # fmt: skip
    await served.app(scope, receive, send)
    assert [chunk.count(b"data: ") for chunk in sent] == [1, 3, 1, 0]
    await served.generation.settled()
