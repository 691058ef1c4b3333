"""Answers of the built-in model under every kind of format, over a real socket."""

import json
import re
from typing import Any

import pytest
from openai import BadRequestError, OpenAI
from openai.types.chat import ChatCompletionMessageParam

from tests.support.server import MODEL, Server

ASK: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "What is the capital of France?"}
]
SCHEMA = {
    "type": "object",
    "properties": {"capital": {"type": "string", "maxLength": 12}, "sure": {"type": "boolean"}},
    "required": ["capital", "sure"],
    "additionalProperties": False,
}
STRICT = {"type": "json_schema", "json_schema": {"name": "c", "strict": True, "schema": SCHEMA}}
JSON = r'\{\s*"capital"\s*:\s*".{0,24}"\s*,\s*"sure"\s*:\s*(true|false)\s*\}'
KINDS: dict[str, tuple[dict[str, Any], str]] = {
    "response_format": ({"response_format": STRICT}, JSON),
    "json_schema": ({"json_schema": SCHEMA}, JSON),
    "guided_json": ({"guided_json": json.dumps(SCHEMA)}, JSON),
    "regex": ({"guided_regex": "The capital is [A-Z][a-z]{2,9}\\."}, "The capital is .+\\."),
    "choice": ({"structured_outputs": {"choice": ["Rome", "Paris"]}}, "Rome|Paris"),
    "lark": ({"grammar": 'start: "<" start ">" | /[a-z]{3}/'}, "<*[a-z]{3}>*"),
    "gbnf": ({"grammar": 'root ::= "<" root ">" | [a-z]{3}'}, "<*[a-z]{3}>*"),
}


@pytest.mark.parametrize("extra", [{}, {"logprobs": True, "top_logprobs": 2}, {"tools": True}])
@pytest.mark.parametrize("kind", list(KINDS))
def test_streams_follow_their_format(client: OpenAI, kind: str, extra: dict[str, Any]) -> None:
    """Drawn at a temperature at which the model would say anything."""
    fields, pattern = KINDS[kind]
    if "tools" in extra:
        extra = {"tools": [{"type": "function", "function": {"name": "get_weather"}}]}
    for seed in range(2):
        asked: dict[str, Any] = {"temperature": 1.2, "seed": seed, "max_tokens": 120, **extra}
        stream = client.chat.completions.create(
            model=MODEL, messages=ASK, stream=True, extra_body=fields, **asked
        )
        chunks = [chunk.choices[0] for chunk in stream if chunk.choices]
        text = "".join(choice.delta.content or "" for choice in chunks)
        called = any(choice.delta.tool_calls for choice in chunks)
        ended = chunks[-1].finish_reason
        assert called or ended == "length" or re.fullmatch(pattern, text), text
        if "logprobs" in extra:
            told = [c.logprobs.content for c in chunks if c.logprobs and c.logprobs.content]
            assert "".join(one.token for tokens in told for one in tokens).startswith(text)


def test_a_format_begins_after_free_thought(client: OpenAI) -> None:
    """Word for word the thought that the model has without a format."""
    thinking = {"chat_template_kwargs": {"enable_thinking": True}}
    thoughts: list[str] = []
    for fields in ({}, {"json_schema": SCHEMA}):
        answer = client.chat.completions.create(
            model=MODEL, messages=ASK, temperature=0, extra_body={**thinking, **fields}
        )
        thoughts.append(answer.choices[0].message.model_dump()["reasoning_content"])
    assert thoughts[0]
    assert thoughts[0] == thoughts[1]
    assert re.fullmatch(JSON, answer.choices[0].message.content or "")


def test_a_call_is_free_beside_a_format(client: OpenAI) -> None:
    function = {
        "name": "get_weather",
        "description": "Get the current weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
    tools: Any = [{"type": "function", "function": function}]
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "What is the weather in Paris?"}],
        temperature=0,
        tools=tools,
        extra_body={"json_schema": SCHEMA},
    )
    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls"
    call = (choice.message.tool_calls or [])[0]
    assert call.type == "function"
    assert json.loads(call.function.arguments) == {"city": "Paris"}


def test_completions_follow_a_format(client: OpenAI) -> None:
    answer = client.completions.create(
        model=MODEL, prompt="The capital", extra_body={"guided_choice": ["Rome", "Paris"]}
    )
    assert answer.choices[0].text in ("Rome", "Paris")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        (
            {"response_format": {**STRICT, "json_schema": {"name": "c", "schema": {"not": {}}}}},
            "response_format.json_schema.schema.not",
        ),
        ({"guided_regex": "((a{1000}){1000}){1000}"}, "guided_regex"),
        ({"grammar": "root ::= nothing"}, "grammar"),
        ({"guided_json": {"properties": {"a": {"type": "x"}}}}, "guided_json.properties.a.type"),
        (
            {"json_schema": {"allOf": [{"pattern": f".*a{i}.*b{i}"} for i in range(30)]}},
            "json_schema",
        ),
    ],
)
def test_what_cannot_be_used_is_named(
    server: Server, client: OpenAI, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(BadRequestError) as refused:
        client.chat.completions.create(model=MODEL, messages=ASK, extra_body=fields)
    assert refused.value.param == param
    assert server.process.poll() is None


def test_a_format_that_becomes_too_much_ends_only_its_own_answer(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as failed:
        client.chat.completions.create(
            model=MODEL,
            messages=ASK,
            extra_body={"guided_regex": "(x|y)((a{1000}){1000}){1000}"},
        )
    assert failed.value.code == "constraint_failed"
    fine = client.chat.completions.create(
        model=MODEL, messages=ASK, extra_body={"guided_choice": ["Paris"]}
    )
    assert fine.choices[0].message.content == "Paris"
