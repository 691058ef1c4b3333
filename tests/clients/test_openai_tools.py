"""Tool calls through OpenAI's Python client: rounds, streams, parsed arguments, forced calls."""

import json
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from openai import AsyncOpenAI, OpenAI, pydantic_function_tool
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import BaseModel

from tests.conftest import connect
from tests.support.server import MODEL, Server


class GetWeather(BaseModel):
    """Get the current weather in a city."""

    city: str
    unit: Literal["celsius", "fahrenheit"]


def declare(name: str, **properties: Any) -> ChatCompletionToolParam:
    schema: dict[str, object] = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }
    return {
        "type": "function",
        "function": {"name": name, "description": f"Use {name}", "parameters": schema},
    }


WEATHER = declare("get_weather", city={"type": "string"})
ADD = declare("add", a={"type": "integer"}, b={"type": "integer"})


def says(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


@pytest.fixture
def actor(scripted: Server) -> Iterator[OpenAI]:
    """A client of the server whose model does as it is told."""
    with connect(scripted) as made:
        yield made


def test_the_built_in_model_calls_a_tool_and_retells_its_result(client: OpenAI) -> None:
    messages = says("What is the weather in Paris?")
    called = client.chat.completions.create(
        model=MODEL, messages=messages, tools=[WEATHER], temperature=0
    ).choices[0]
    assert called.finish_reason == "tool_calls"
    assert called.message.content is None
    assert called.message.tool_calls
    (call,) = called.message.tool_calls
    assert call.type == "function"
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    # the message goes back as it came, and the result refers to it
    messages.append(called.message.model_dump(exclude_none=True))  # type: ignore[arg-type]
    messages.append({"role": "tool", "tool_call_id": call.id, "content": "sunny, 21 degrees"})
    answer = client.chat.completions.create(
        model=MODEL, messages=messages, tools=[WEATHER], temperature=0
    ).choices[0]
    assert answer.finish_reason == "stop"
    assert "21" in (answer.message.content or "")


def test_the_stream_helper_adds_up_calls(actor: OpenAI) -> None:
    script = 'call get_weather {"city": "東京"}\ncall get_weather {"city": "Rome 🌍"}'
    with actor.chat.completions.stream(
        model=MODEL, messages=says(script), tools=[WEATHER]
    ) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion().choices[0]
    assert kinds.count("tool_calls.function.arguments.done") == 2
    assert kinds.count("tool_calls.function.arguments.delta") > 6
    assert final.finish_reason == "tool_calls"
    assert final.message.role == "assistant"
    calls = final.message.tool_calls or []
    assert [call.function.name for call in calls] == ["get_weather"] * 2
    assert [json.loads(call.function.arguments) for call in calls] == [
        {"city": "東京"},
        {"city": "Rome 🌍"},
    ]
    assert len({call.id for call in calls}) == 2
    assert all(call.type == "function" for call in calls)


async def test_deltas_come_one_by_one(scripted: Server) -> None:
    script = 'think look it up\ncall add {"a": 1, "b": 2}'
    async with AsyncOpenAI(base_url=scripted.base_url, api_key="unused") as client:
        stream = await client.chat.completions.create(
            model=MODEL, messages=says(script), tools=[ADD], stream=True
        )
        deltas = [chunk.choices[0].delta async for chunk in stream]
    thought = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert thought == "look it up"
    (first, *rest) = [call for delta in deltas for call in delta.tool_calls or []]
    assert first.id
    assert (first.index, first.type) == (0, "function")
    assert first.function
    assert (first.function.name, first.function.arguments) == ("add", "")
    assert len(rest) > 3
    for call in rest:
        assert call.model_dump(exclude_unset=True).keys() == {"index", "function"}
        assert call.function
        assert call.function.model_dump(exclude_unset=True).keys() == {"arguments"}
        assert call.function.arguments
    told = "".join(call.function.arguments or "" for call in rest if call.function)
    assert json.loads(told) == {"a": 1, "b": 2}


def test_parse_reads_the_arguments(actor: OpenAI) -> None:
    script = 'call GetWeather {"city": "Oslo", "unit": "celsius"}'
    answer = actor.chat.completions.parse(
        model=MODEL, messages=says(script), tools=[pydantic_function_tool(GetWeather)]
    )
    (call,) = answer.choices[0].message.tool_calls or []
    assert call.function.parsed_arguments == GetWeather(city="Oslo", unit="celsius")


def test_no_arguments_are_an_object(actor: OpenAI) -> None:
    tool: ChatCompletionToolParam = {"type": "function", "function": {"name": "now"}}
    answer = actor.chat.completions.create(model=MODEL, messages=says("call now"), tools=[tool])
    (call,) = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.arguments == "{}"


def test_text_before_a_call(actor: OpenAI) -> None:
    script = 'say Let me see.\ncall add {"a": 1, "b": 2}'
    answer = actor.chat.completions.create(model=MODEL, messages=says(script), tools=[ADD])
    assert answer.choices[0].message.content == "Let me see."
    assert answer.choices[0].finish_reason == "tool_calls"


def test_none_calls_nothing(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=says("What is the weather in Paris?"),
        tools=[WEATHER],
        tool_choice="none",
        temperature=0,
        max_tokens=64,
    )
    assert answer.choices[0].message.tool_calls is None
    assert answer.choices[0].message.content


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_built_in_model_is_made_to_call(client: OpenAI, temperature: float) -> None:
    """It would not of itself: it has never seen such a tool, and nobody asked for one."""
    shape = declare("paint", colour={"enum": ["red", "green"]}, coats={"enum": [1, 2]})
    answer = client.chat.completions.create(
        model=MODEL,
        messages=says("Hello!"),
        tools=[shape],
        tool_choice="required",
        temperature=temperature,
        seed=5,
        max_tokens=300,
    )
    assert answer.choices[0].finish_reason == "tool_calls"
    for call in answer.choices[0].message.tool_calls or []:
        assert call.type == "function"
        assert call.function.name == "paint"
        given = json.loads(call.function.arguments)
        assert given["colour"] in {"red", "green"}
        assert given["coats"] in {1, 2}


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "function", "function": {"name": "add"}},
        {
            "type": "allowed_tools",
            "allowed_tools": {
                "mode": "required",
                "tools": [{"type": "function", "function": {"name": "add"}}],
            },
        },
    ],
    ids=["named", "allowed"],
)
def test_a_choice_of_tools(actor: OpenAI, choice: Any) -> None:
    """The model wants another, and may not."""
    answer = actor.chat.completions.create(
        model=MODEL,
        messages=says('call get_weather {"city": "Rome"}'),
        tools=[WEATHER, ADD],
        tool_choice=choice,
        max_tokens=200,
    )
    names = {
        call.function.name
        for call in answer.choices[0].message.tool_calls or []
        if call.type == "function"
    }
    assert names == {"add"}


def test_one_call_at_a_time(actor: OpenAI) -> None:
    answer = actor.chat.completions.create(
        model=MODEL,
        messages=says('call add {"a": 1, "b": 2}\ncall add {"a": 3, "b": 4}'),
        tools=[ADD],
        parallel_tool_calls=False,
    )
    assert len(answer.choices[0].message.tool_calls or []) == 1


@pytest.mark.parametrize("arguments", ['{"a": "one", "b": 2}', '{"a": 1}', "{}", "[1, 2]"])
def test_a_call_with_wrong_arguments_cannot_come_out(actor: OpenAI, arguments: str) -> None:
    answer = actor.chat.completions.create(
        model=MODEL, messages=says(f"call add {arguments}"), tools=[ADD], max_tokens=200
    )
    (call,) = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    given = json.loads(call.function.arguments)
    assert set(given) == {"a", "b"}
    assert all(isinstance(value, int) for value in given.values())
