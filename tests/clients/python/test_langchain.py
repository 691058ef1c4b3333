"""LangChain's `ChatOpenAI`: tools, structured output, streams, usage."""

from typing import Any, Literal

import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

MODEL = "corral-tiny"


@tool
def get_weather(city: str) -> str:
    """Get the current weather in a city."""
    return f"sunny, 21 degrees in {city}"


class Paint(BaseModel):
    """How to paint a wall."""

    colour: Literal["red", "green", "blue"]
    coats: int


@pytest.fixture(scope="session")
def model(url: str) -> ChatOpenAI:
    return ChatOpenAI(base_url=url, api_key="unused", model=MODEL, temperature=0, max_retries=0)


@pytest.fixture(scope="session")
def scripted(scripted_url: str) -> ChatOpenAI:
    return ChatOpenAI(
        base_url=scripted_url, api_key="unused", model=MODEL, stream_usage=True, max_retries=0
    )


def test_the_built_in_model_calls_a_tool_and_retells_its_result(model: ChatOpenAI) -> None:
    able = model.bind_tools([get_weather])
    asked = HumanMessage("What is the weather in Paris?")
    called = able.invoke([asked])
    (call,) = called.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})
    answer = able.invoke([asked, called, get_weather.invoke(call)])
    assert "21" in answer.text


def test_calls_are_merged_from_a_stream(scripted: ChatOpenAI) -> None:
    able = scripted.bind_tools([get_weather])
    script = 'call get_weather {"city": "São Paulo"}\ncall get_weather {"city": "東京"}'
    chunks = list(able.stream(script))
    pieces = [piece for chunk in chunks for piece in chunk.tool_call_chunks]
    assert len(pieces) > 8, "arguments come as they are generated"
    whole = _add(chunks)
    assert not whole.invalid_tool_calls
    assert [call["args"] for call in whole.tool_calls] == [{"city": "São Paulo"}, {"city": "東京"}]
    assert len({call["id"] for call in whole.tool_calls}) == 2
    assert whole.response_metadata["finish_reason"] == "tool_calls"
    assert whole.usage_metadata is not None


async def test_an_agents_loop_over_two_rounds(scripted: ChatOpenAI) -> None:
    able = scripted.bind_tools([get_weather])
    rounds = 'call get_weather {"city": "Rome"}\nthen\ncall get_weather {"city": "Oslo"}'
    messages: list[Any] = [HumanMessage(rounds)]
    while (answer := await able.ainvoke(messages)).tool_calls:
        results = [await get_weather.ainvoke(call) for call in answer.tool_calls]
        messages += [answer, *results]
    assert len(messages) == 5
    assert "degrees in Rome" in answer.text
    assert "degrees in Oslo" in answer.text


def test_a_tools_result_as_parts(scripted: ChatOpenAI) -> None:
    able = scripted.bind_tools([get_weather])
    asked = HumanMessage('call get_weather {"city": "Rome"}')
    called = able.invoke([asked])
    parts = [{"type": "text", "text": "rain"}, {"type": "text", "text": "and wind"}]
    result = ToolMessage(parts, tool_call_id=called.tool_calls[0]["id"])
    assert "rain\nand wind" in able.invoke([asked, called, result]).text


def test_tool_choice(model: ChatOpenAI) -> None:
    @tool
    def sing(song: str) -> str:
        """Sing a song."""
        return song

    for choice in ("any", "sing"):
        able = model.bind_tools([get_weather, sing], tool_choice=choice)
        (call, *_) = able.invoke("Hello!", max_tokens=200).tool_calls
        assert call["name"] in {"get_weather", "sing"} if choice == "any" else {"sing"}


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
@pytest.mark.parametrize("strict", [True, None])
def test_structured_output(model: ChatOpenAI, method: Any, strict: bool | None) -> None:
    painter = model.with_structured_output(Paint, method=method, strict=strict)
    assert isinstance(painter.invoke("How shall I paint the wall?", max_tokens=200), Paint)


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
async def test_a_stream_of_structured_output(scripted: ChatOpenAI, method: Any) -> None:
    arguments = '{"colour": "green", "coats": 2}'
    painter = scripted.with_structured_output(Paint.model_json_schema(), method=method)
    script = f"{'say' if method == 'json_schema' else 'call Paint'} {arguments}"
    growing = [paint async for paint in painter.astream(script)]
    assert growing[-1] == {"colour": "green", "coats": 2}
    assert len(growing) > 1


async def test_astream_says_what_ainvoke_says(model: ChatOpenAI) -> None:
    whole = await model.ainvoke("What is the capital of France?")
    chunks = [chunk async for chunk in model.astream("What is the capital of France?")]
    assert "".join(chunk.text for chunk in chunks) == whole.text
    assert "Paris" in whole.text


def test_usage(model: ChatOpenAI) -> None:
    used = model.invoke("Hello").usage_metadata
    assert used is not None
    assert used["total_tokens"] == used["input_tokens"] + used["output_tokens"] > 0
    again = model.invoke("Hello").usage_metadata
    assert again is not None
    assert 0 < again["input_token_details"]["cache_read"] < again["input_tokens"]
    streamed = _add(list(model.stream("Hello", stream_usage=True))).usage_metadata
    assert streamed is not None
    assert streamed["total_tokens"] == used["total_tokens"]


def _add(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    whole, *rest = chunks
    for chunk in rest:
        whole += chunk
    return whole


@pytest.fixture(scope="session")
def responses(url: str) -> ChatOpenAI:
    return ChatOpenAI(
        base_url=url,
        api_key="unused",
        model=MODEL,
        temperature=0,
        max_retries=0,
        use_responses_api=True,
    )


def test_responses_with_a_tool(responses: ChatOpenAI) -> None:
    able = responses.bind_tools([get_weather])
    asked = HumanMessage("What is the weather in Paris?")
    called = able.invoke([asked])
    (call,) = called.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})
    answer = able.invoke([asked, called, get_weather.invoke(call)])
    assert "21" in answer.text
    assert answer.usage_metadata is not None


def test_responses_are_streamed_and_gone_on_from(responses: ChatOpenAI) -> None:
    whole = _add(list(responses.stream("What is the capital of France?")))
    assert whole.text == "The capital of France is Paris."
    again = responses.invoke(
        "What is the capital of Italy?", previous_response_id=whole.response_metadata["id"]
    )
    assert again.text == "The capital of Italy is Rome."


def test_responses_with_structure(responses: ChatOpenAI) -> None:
    painter = responses.with_structured_output(Paint)
    assert isinstance(painter.invoke("Paint my wall red, with two coats."), Paint)
