"""Ollama's chat and generate routes: point by point, and to the byte."""

import json
import re
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from app.core.errors import EngineFailed, QueueFull
from tests.unit.api.served import MODEL, USER, Served, serve
from tests.unit.services.scripted import Script

CHAT, GENERATE = "/api/chat", "/api/generate"
CALL = '<tool_call>{"name": "weather", "arguments": {"city": "Paris"}}</tool_call>'
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
THINKS = "{{ 1 }}</think>"
SLOW = Script(pause=0.02)
"""Each piece comes as a batch of its own."""


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": USER, **fields}


def lines(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.text.endswith("\n")
    return [json.loads(line) for line in response.text.splitlines()]


async def stream(served: Served, path: str = CHAT, **fields: Any) -> list[dict[str, Any]]:
    body = chat(**fields) if path == CHAT else {"model": MODEL, "prompt": "Hi", **fields}
    return lines(await served.post(path, {"stream": True, **body}))


def mask(text: str) -> str:
    """Times do not repeat."""
    text = re.sub(r'"created_at":"20\d\d-\d\d-\d\dT[\d:.]+Z"', '"created_at":"T"', text)
    return re.sub(r'_duration":[1-9]\d*', '_duration":N', text)


TIMES = (
    '"total_duration":N,"load_duration":N,"prompt_eval_count":22,"prompt_eval_duration":N,'
    '"eval_count":2,"eval_duration":N'
)
HEAD = '{"model":"org/tiny:q8","created_at":"T",'


async def test_golden_stream_of_a_chat() -> None:
    response = await serve(SLOW).post(CHAT, chat(stream=True))
    assert mask(response.text) == (
        f'{HEAD}"message":{{"role":"assistant","content":"Hel"}},"done":false}}\n'
        f'{HEAD}"message":{{"role":"assistant","content":"lo"}},"done":false}}\n'
        f'{HEAD}"message":{{"role":"assistant","content":""}},"done":true,"done_reason":"stop",'
        f"{TIMES}}}\n"
    )


async def test_golden_whole_chat_has_the_fields_of_three_servers() -> None:
    response = await serve().post(CHAT, chat(stream=False))
    message = '{"role":"assistant","content":"Hello"}'
    usage = '{"prompt_tokens":22,"completion_tokens":2,"total_tokens":24}'
    assert mask(response.text) == (
        f'{HEAD}"message":{message},"done":true,"done_reason":"stop",{TIMES},'
        f'"success":true,"data":{{"message":{message},"usage":{usage}}}}}'
    )
    assert response.headers["content-type"] == "application/json"


async def test_a_chat_is_streamed_when_asked_for_only() -> None:
    response = await serve().post(CHAT, chat())
    assert response.json()["message"]["content"] == "Hello"


async def test_golden_chat_stream_of_events() -> None:
    response = await serve(SLOW).post("/api/chat/stream", chat())
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    frames = mask(response.text).split("\n\n")
    assert frames[0] == (
        f'data: {HEAD}"message":{{"role":"assistant","content":"Hel"}},"done":false}}'
    )
    assert frames[-2:] == ["data: [DONE]", ""]


async def test_golden_stream_of_generate_which_is_the_default() -> None:
    response = await serve(SLOW).post(GENERATE, {"model": MODEL, "prompt": "Hi"})
    assert mask(response.text) == (
        f'{HEAD}"response":"Hel","done":false}}\n'
        f'{HEAD}"response":"lo","done":false}}\n'
        f'{HEAD}"response":"","done":true,"done_reason":"stop",{TIMES}}}\n'
    )


async def test_a_whole_generate() -> None:
    response = await serve().post(GENERATE, {"model": MODEL, "prompt": "Hi", "stream": False})
    assert response.json()["response"] == "Hello"
    assert response.json()["done_reason"] == "stop"


async def test_point_44_arguments_are_an_object_in_one_line() -> None:
    pieces = ("I look. ", *CALL, *CALL)
    told = await stream(serve(Script(pieces)), tools=TOOLS)
    calls = [line["message"]["tool_calls"] for line in told if "tool_calls" in line["message"]]
    assert [[call["function"] for call in some] for some in calls] == [
        [{"index": 0, "name": "weather", "arguments": {"city": "Paris"}}],
        [{"index": 1, "name": "weather", "arguments": {"city": "Paris"}}],
    ]
    assert len({some[0]["id"] for some in calls}) == 2
    assert "".join(line["message"]["content"] for line in told) == "I look."
    assert told[-1]["done_reason"] == "stop"
    whole = await serve(Script(pieces)).post(CHAT, chat(tools=TOOLS))
    assert len(whole.json()["message"]["tool_calls"]) == 2


async def test_a_call_that_is_cut_off_is_told_as_text() -> None:
    told = await stream(serve(Script((CALL[:-20],), reason="length")), tools=TOOLS)
    assert all("tool_calls" not in line["message"] for line in told)
    content = "".join(line["message"]["content"] for line in told)
    assert content == '{"name": "weather", "arguments": {"city": "'
    assert told[-1]["done_reason"] == "length"


async def test_escapes_of_half_a_character_do_not_break_a_call() -> None:
    broken = CALL.replace("Paris", "\\ud83d!")
    response = await serve(Script((broken,))).post(CHAT, chat(tools=TOOLS))
    (call,) = response.json()["message"]["tool_calls"]
    assert call["function"]["arguments"] == {"city": "?!"}


async def test_point_44_thinking_beside_content() -> None:
    script = Script(("<think>", "hm", "</think>", "ok"), pause=0.02)
    told = await stream(serve(script, template=THINKS))
    assert [line["message"] for line in told[:-1]] == [
        {"role": "assistant", "content": "", "thinking": "hm"},
        {"role": "assistant", "content": "ok"},
    ]
    generated = await stream(serve(script, template=THINKS), GENERATE)
    assert [line["response"] for line in generated] == ["", "ok", ""]
    assert generated[0]["thinking"] == "hm"


async def test_logprobs() -> None:
    told = await stream(serve(SLOW), logprobs=True, top_logprobs=2)
    (first,) = told[0]["logprobs"]
    assert (first["token"], first["logprob"], first["bytes"]) == ("Hel", -0.5, [72, 101, 108])
    assert [top["logprob"] for top in first["top_logprobs"]] == [-0.5, -9999.0]
    assert "logprobs" not in told[-1]


async def test_silence_is_bridged_with_empty_pieces() -> None:
    told = await stream(serve(Script(pause=0.15), sse_ping_interval=0.1))
    silent = [line for line in told if line["message"]["content"] == "" and not line["done"]]
    assert silent
    assert "".join(line["message"]["content"] for line in told) == "Hello"


async def test_point_43_errors_before_the_stream() -> None:
    for stream_ in (True, False):
        response = await serve().post(CHAT, chat(model="gone", stream=stream_))
        assert response.status_code == 404
        assert response.json() == {"success": False, "error": "model 'gone' not found"}
    full = serve()
    full.engine.refusal = QueueFull("full", retry_after=3)
    response = await full.post(CHAT, chat(stream=True))
    assert (response.status_code, response.headers["retry-after"]) == (429, "3")
    assert isinstance(response.json()["error"], str)


async def test_point_43_errors_in_the_stream_are_its_last_line() -> None:
    told = await stream(serve(Script(("a",), failure=EngineFailed("The engine is gone."))))
    assert told[-1] == {"success": False, "error": "The engine is gone."}
    assert all("error" not in line for line in told[:-1])


@pytest.mark.parametrize("path", [CHAT, GENERATE])
async def test_point_44_nothing_to_answer_loads_or_unloads(path: str) -> None:
    served = serve()
    empty: dict[str, Any] = {"messages": []} if path == CHAT else {"prompt": ""}
    loaded = await served.post(path, {"model": MODEL, **empty, "keep_alive": "10m"})
    assert (loaded.json()["done"], loaded.json()["done_reason"]) == (True, "load")
    assert served.pool.keep_alive == 600
    gone = await served.post(path, {"model": "tiny", "keep_alive": 0, "stream": True})
    assert gone.json()["done_reason"] == "unload"
    assert [name for name, _ in served.pool.unloads] == [MODEL]
    assert not served.engine.specs


@pytest.mark.parametrize("body", [b'{"model": "org/tiny:q8", "prompt": "Hi", "stream": false}'])
async def test_what_curl_sends(body: bytes) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    async with serve().client() as client:
        assert (await client.post(GENERATE, content=body, headers=form)).status_code == 200
        elsewhere = {**form, "origin": "http://elsewhere.example"}
        refused = await client.post(GENERATE, content=body, headers=elsewhere)
    assert refused.status_code == 400


async def test_keys_hold() -> None:
    refused = await serve(api_key=SecretStr("secret")).post(CHAT, chat())
    assert refused.status_code == 401
    assert isinstance(refused.json()["error"], str)
    taken = await serve(api_key=SecretStr("secret")).post(
        CHAT, chat(), authorization="Bearer secret"
    )
    assert taken.status_code == 200
