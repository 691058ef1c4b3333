"""LiteLLM with the provider `openai`, and what it makes of our errors."""

from typing import Any

import litellm
import pytest
from pydantic import BaseModel

MODEL = "corral-tiny"

NAME = f"openai/{MODEL}"
WEATHER = {
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


def ask(url: str, text: str, **more: Any) -> Any:
    messages = more.pop("messages", [{"role": "user", "content": text}])
    return litellm.completion(
        model=NAME, api_base=url, api_key="unused", messages=messages, num_retries=0, **more
    )


def test_answer_and_stream(url: str) -> None:
    text = "What is the capital of France?"
    answer = ask(url, text, temperature=0)
    assert "Paris" in answer.choices[0].message.content
    chunks = list(
        ask(url, text, temperature=0, stream=True, stream_options={"include_usage": True})
    )
    told = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert told == answer.choices[0].message.content
    assert chunks[-1].usage.total_tokens == answer.usage.total_tokens


def test_the_built_in_model_calls_a_tool_and_retells_its_result(url: str) -> None:
    text = "What is the weather in Paris?"
    called = ask(url, text, temperature=0, tools=[WEATHER]).choices[0]
    (call,) = called.message.tool_calls
    assert called.finish_reason == "tool_calls"
    assert call.function.arguments == '{"city": "Paris"}'
    messages = [
        {"role": "user", "content": text},
        called.message,
        {"role": "tool", "tool_call_id": call.id, "content": "sunny, 21 degrees"},
    ]
    assert "21" in ask(url, "", messages=messages, tools=[WEATHER]).choices[0].message.content


async def test_a_stream_is_built_up_again(scripted_url: str) -> None:
    script = (
        'think look it up\ncall get_weather {"city": "東京"}\ncall get_weather {"city": "Rome"}'
    )
    messages = [{"role": "user", "content": script}]
    stream = await litellm.acompletion(
        model=NAME,
        api_base=scripted_url,
        api_key="unused",
        messages=messages,
        tools=[WEATHER],
        stream=True,
    )
    whole = litellm.stream_chunk_builder([chunk async for chunk in stream], messages=messages)
    message = whole.choices[0].message
    assert message.reasoning_content == "look it up"
    assert [call.function.arguments for call in message.tool_calls] == [
        '{"city": "東京"}',
        '{"city": "Rome"}',
    ]
    assert whole.choices[0].finish_reason == "tool_calls"


def test_structured_output(url: str) -> None:
    class Wall(BaseModel):
        is_dry: bool
        coats: int

    answer = ask(url, "Describe the wall as JSON.", response_format=Wall, max_tokens=100)
    assert Wall.model_validate_json(answer.choices[0].message.content)


def test_tool_choice(url: str) -> None:
    choice = {"type": "function", "function": {"name": "get_weather"}}
    answer = ask(url, "Hello!", tools=[WEATHER], tool_choice=choice, max_tokens=200)
    assert answer.choices[0].message.tool_calls[0].function.name == "get_weather"


def test_embeddings(url: str) -> None:
    answer = litellm.embedding(model=NAME, api_base=url, api_key="unused", input=["a llama"])
    assert len(answer.data[0]["embedding"]) > 100


def test_errors_become_its_own(url: str) -> None:
    with pytest.raises(litellm.ContextWindowExceededError):
        ask(url, "the llama " * 40_000)
    with pytest.raises(litellm.NotFoundError):
        litellm.completion(
            model="openai/nobody",
            api_base=url,
            api_key="unused",
            messages=[{"role": "user", "content": "Hi"}],
        )
    with pytest.raises(litellm.BadRequestError, match="temperature"):
        ask(url, "Hi", temperature=-1)
