"""Tools, as the built-in model is held to them, over real sockets."""

import json
import re
from typing import Any

import pytest

from tests.support.server import MODEL, Server

LIGHT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "room": {"type": "string", "maxLength": 12},
        "level": {"type": "integer", "minimum": 0, "maximum": 100},
        "mode": {"enum": ["warm", "cold"]},
    },
    "required": ["room", "level"],
}
TOOLS = [
    {"type": "function", "function": {"name": "set_light", "parameters": LIGHT}},
    {"type": "function", "function": {"name": "now"}},
]
TOOL_CALL = "10"  # the token <tool_call>
DATE = """
start: MONTH " " DAY LF
MONTH: "May" | "June"
DAY: /[0-9]{1,2}"/
%import common.LF
"""
NAMED = {"type": "function", "function": {"name": "set_light"}}


def ask(server: Server, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Tell me about Paris."}],
        "tools": TOOLS,
        "max_tokens": 400,
    }
    reply = server.client.post(f"{server.base_url}/chat/completions", json=body | fields)
    assert reply.status_code == 200, reply.text
    return reply.json()


def check_call(call: dict[str, Any]) -> str:
    """That its arguments are valid; its name."""
    name, arguments = call["function"]["name"], json.loads(call["function"]["arguments"])
    if name == "now":
        assert arguments == {}
        return name
    assert name == "set_light"
    assert {"room", "level"} <= arguments.keys() <= LIGHT["properties"].keys()
    assert len(arguments["room"]) <= 12
    assert type(arguments["level"]) is int
    assert 0 <= arguments["level"] <= 100
    assert arguments.get("mode", "warm") in {"warm", "cold"}
    return name


@pytest.mark.parametrize("choice", ["required", NAMED])
def test_demanded_calls_are_valid(server: Server, choice: Any) -> None:
    """Fifty random answers, far from what the model would say."""
    for start in range(0, 50, 10):
        fields = {"n": 10, "seed": start, "temperature": 1.5, "top_k": 0, "min_p": 0, "top_p": 1}
        answer = ask(server, tool_choice=choice, parallel_tool_calls=False, **fields)
        for one in answer["choices"]:
            assert one["finish_reason"] == "tool_calls", one
            assert one["message"]["content"] is None
            [call] = one["message"]["tool_calls"]
            assert check_call(call) in (
                {"set_light", "now"} if choice == "required" else {"set_light"}
            )


def test_a_call_that_was_opened_is_valid(server: Server) -> None:
    """Nobody demands one, but wherever it may the model opens one."""
    for seed in range(20):
        fields = {"seed": seed, "temperature": 1.5, "top_k": 0, "logit_bias": {TOOL_CALL: 100}}
        answer = ask(server, parallel_tool_calls=False, **fields)
        [one] = answer["choices"]
        assert one["finish_reason"] == "tool_calls", one
        [call] = one["message"]["tool_calls"]
        check_call(call)


@pytest.mark.parametrize(
    "fields", [{}, {"speculation": "ngram"}, {"logprobs": True}, {"stop": "}"}]
)
def test_demanded_calls_beside_other_wishes(server: Server, fields: dict[str, Any]) -> None:
    answer = ask(server, tool_choice=NAMED, temperature=0, min_tokens=3, **fields)
    [one] = answer["choices"]
    [call] = one["message"]["tool_calls"]
    if "stop" not in fields:
        assert one["finish_reason"] == "tool_calls"
        check_call(call)


def test_a_format_or_a_call(server: Server) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    for seed in range(10):
        answer = ask(server, response_format=wanted, temperature=1.5, seed=seed)
        message = answer["choices"][0]["message"]
        for call in message.get("tool_calls") or ():
            check_call(call)
        if not message.get("tool_calls"):
            assert set(json.loads(message["content"])) >= {"a"}


THINK = {"messages": [{"role": "user", "content": "What is 2 + 2?"}], "enable_thinking": True}


@pytest.mark.parametrize("budget", [0, 3])
@pytest.mark.parametrize("stream", [False, True])
def test_a_thought_is_closed(server: Server, budget: int, stream: bool) -> None:
    fields = {**THINK, "thinking_budget": budget, "temperature": 0, "tools": None}
    if stream:
        body = {"model": MODEL, "max_tokens": 200, "stream": True, **fields}
        reply = server.client.post(f"{server.base_url}/chat/completions", json=body)
        lines = [line for line in reply.text.splitlines() if line.startswith("data: {")]
        deltas = [json.loads(line[6:])["choices"][0]["delta"] for line in lines]
        content = "".join(delta.get("content") or "" for delta in deltas)
        thought = "".join(delta.get("reasoning_content") or "" for delta in deltas)
    else:
        answer = ask(server, **fields)
        message = answer["choices"][0]["message"]
        content, thought = message["content"], message.get("reasoning_content", "")
        used = answer["usage"]["completion_tokens_details"]["reasoning_tokens"]
        assert used <= budget + 3, "the markers are counted with the thought"
    # what so small a model says after that may well be a thought again
    assert content
    assert not content.startswith("<")
    assert len(thought) <= 12 * budget


def test_a_closed_thought_before_a_format_and_before_a_call(server: Server) -> None:
    fields = {**THINK, "thinking_budget": 2, "temperature": 0}
    formatted = ask(server, response_format={"type": "json_object"}, tool_choice="none", **fields)
    assert isinstance(json.loads(formatted["choices"][0]["message"]["content"]), dict)
    called = ask(server, tool_choice=NAMED, **fields)
    [call] = called["choices"][0]["message"]["tool_calls"]
    check_call(call)


@pytest.mark.parametrize(
    ("syntax", "definition", "expected"),
    [
        ("regex", r'^(?P<month>May|June) \d{1,2}"\n$', r'(May|June) \d{1,2}"\n'),
        ("lark", DATE, r'(May|June) \d{1,2}"\n'),
    ],
)
def test_the_text_of_a_custom_tool(
    server: Server, syntax: str, definition: str, expected: str
) -> None:
    form = {"type": "grammar", "syntax": syntax, "definition": definition}
    body = {
        "model": MODEL,
        "input": "When?",
        "tools": [{"type": "custom", "name": "note", "format": form}],
        "tool_choice": {"type": "custom", "name": "note"},
        "temperature": 1.5,
    }
    for seed in range(5):
        reply = server.client.post(f"{server.base_url}/responses", json=body | {"seed": seed})
        assert reply.status_code == 200, reply.text
        (call,) = reply.json()["output"]
        assert call["type"] == "custom_tool_call"
        assert re.fullmatch(expected, call["input"])


@pytest.mark.parametrize(
    ("syntax", "definition"),
    [("regex", "(?<=a)b"), ("regex", "a("), ("lark", "start: start"), ("lark", "start: /(/")],
)
def test_a_grammar_that_cannot_be_held(server: Server, syntax: str, definition: str) -> None:
    form = {"type": "grammar", "syntax": syntax, "definition": definition}
    tools = [{"type": "function", "name": "f"}, {"type": "custom", "name": "g", "format": form}]
    body = {"model": MODEL, "input": "Hi", "tools": tools}
    reply = server.client.post(f"{server.base_url}/responses", json=body)
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert (error["code"], error["param"]) == ("invalid_grammar", "tools[1].format.definition")
