"""The built-in model makes sense, through the API: a part of the held-out wordings, 85 % right."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from tests.support.server import MODEL, Server

ROOT = Path(__file__).resolve().parents[2]
HELD_OUT: dict[str, list[dict[str, Any]]] = json.loads(
    (ROOT / "scripts" / "tiny" / "heldout.json").read_text()
)
BAR = 0.85
FLAGS = re.IGNORECASE | re.DOTALL
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


def answer(server: Server, case: dict[str, Any]) -> dict[str, Any]:
    """The message that the model answers a case with."""
    asked = {"model": MODEL, "messages": case["messages"], "temperature": 0, "max_tokens": 320}
    if "tools" in case:
        asked["tools"] = case["tools"]
    reply: httpx.Response = server.client.post(f"{server.base_url}/chat/completions", json=asked)
    assert reply.status_code == 200, reply.text
    return reply.json()["choices"][0]["message"]


def is_right(case: dict[str, Any], message: dict[str, Any]) -> bool:
    text = message["content"] or ""
    if not all(re.search(pattern, text, FLAGS) for pattern in case["expect"]):
        return False
    if any(re.search(pattern, text, FLAGS) for pattern in case.get("reject", ())):
        return False
    return not case["expect"][0].startswith("^") or is_json(text)


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def calls_rightly(case: dict[str, Any], message: dict[str, Any]) -> bool:
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    if len(calls) != 1 or not is_json(calls[0]["arguments"]):
        return False
    called = {"name": calls[0]["name"], "arguments": json.loads(calls[0]["arguments"])}
    return json.dumps(called).lower() == json.dumps(case["call"]).lower()


def tell(case: dict[str, Any], message: dict[str, Any]) -> str:
    return f"{case['messages'][-1]['content']!r} -> {message['content']!r}"


def test_new_wordings(server: Server) -> None:
    cases = HELD_OUT["phrasings"][::5]
    assert len(cases) == 20
    said = [(case, answer(server, case)) for case in cases]
    wrong = [tell(case, message) for case, message in said if not is_right(case, message)]
    assert len(wrong) <= len(cases) * (1 - BAR), "\n".join(wrong)


def test_weather_calls_the_tool(server: Server) -> None:
    cases = HELD_OUT["weather"]
    assert len(cases) == 20
    said = [(case, answer(server, case)) for case in cases]
    wrong = [f"{tell(c, m)} {m.get('tool_calls')}" for c, m in said if not calls_rightly(c, m)]
    assert len(wrong) <= len(cases) * (1 - BAR), "\n".join(wrong)


@pytest.mark.parametrize("case", HELD_OUT["demanded"], ids=["capital", "landmarks"])
def test_france(server: Server, case: dict[str, Any]) -> None:
    message = answer(server, case)
    assert is_right(case, message), tell(case, message)


def test_a_conversation_about_france(client: OpenAI) -> None:
    """As in the held-out case, but the model's own first answer is in the history."""
    messages: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": "What is the capital of France?"}
    ]
    first = client.chat.completions.create(model=MODEL, messages=messages, temperature=0)
    assert "Paris" in (first.choices[0].message.content or "")
    messages.append({"role": "assistant", "content": first.choices[0].message.content})
    messages.append({"role": "user", "content": "What are some famous landmarks there?"})
    second = client.chat.completions.create(model=MODEL, messages=messages, temperature=0)
    assert re.search("Eiffel|Louvre|Notre", second.choices[0].message.content or "")


def test_a_streamed_tool_call_and_what_follows(client: OpenAI) -> None:
    messages: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": "What is the weather in Paris?"}
    ]
    with client.chat.completions.stream(
        model=MODEL, messages=messages, tools=[WEATHER], temperature=0
    ) as stream:
        deltas = [
            delta
            for event in stream
            if event.type == "chunk"
            for choice in event.chunk.choices
            for delta in choice.delta.tool_calls or ()
        ]
        final = stream.get_final_completion()
    first, *others = deltas
    assert first.index == 0
    assert first.id is not None
    assert first.type == "function"
    assert first.function is not None
    assert first.function.name == "get_weather"
    assert first.function.arguments == ""
    for delta in others:
        assert (delta.index, delta.id) == (0, None)
        assert delta.function is not None
        assert delta.function.name is None
        assert delta.function.arguments
    choice = final.choices[0]
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls or []
    assert json.loads(call.function.arguments) == {"city": "Paris"}

    function = {"name": call.function.name, "arguments": call.function.arguments}
    called: Any = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": call.id, "type": "function", "function": function}],
    }
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "sunny, 21 degrees"}
    told = client.chat.completions.create(
        model=MODEL, messages=[*messages, called, result], tools=[WEATHER], temperature=0
    )
    assert told.choices[0].finish_reason == "stop"
    assert re.search("sunny|21", told.choices[0].message.content or "")


def test_thinking_when_asked(client: OpenAI) -> None:
    told = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "What is 2 plus 3?"}],
        temperature=0,
        extra_body={"enable_thinking": True},
    )
    message: dict[str, Any] = told.choices[0].message.model_dump()
    assert message["reasoning_content"]
    assert "<think>" not in message["content"]
    assert told.usage is not None
    assert told.usage.completion_tokens_details is not None
    assert (told.usage.completion_tokens_details.reasoning_tokens or 0) > 0
