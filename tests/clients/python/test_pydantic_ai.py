"""Pydantic AI: agents with tools, typed output, streams."""

from typing import Literal

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, ToolOutput
from pydantic_ai.messages import ThinkingPart
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings

MODEL = "corral-tiny"


class Paint(BaseModel):
    colour: Literal["red", "green", "blue"]
    coats: int


def make_model(url: str) -> OpenAIChatModel:
    return OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=url, api_key="unused"))


@pytest.fixture
def agent(url: str) -> Agent[None, str]:
    return Agent(make_model(url), model_settings=ModelSettings(temperature=0, max_tokens=300))


@pytest.fixture
def scripted(scripted_url: str) -> Agent[None, str]:
    return Agent(make_model(scripted_url))


def add_weather(agent: Agent[None, str]) -> list[str]:
    asked: list[str] = []

    @agent.tool_plain
    def get_weather(city: str) -> str:
        """Get the current weather in a city."""
        asked.append(city)
        return f"sunny, 21 degrees in {city}"

    return asked


def test_the_built_in_model_calls_a_tool_and_retells_its_result(agent: Agent[None, str]) -> None:
    asked = add_weather(agent)
    done = agent.run_sync("What is the weather in Paris?")
    assert asked == ["Paris"]
    assert "21" in done.output
    assert done.usage.requests == 2
    assert done.usage.input_tokens > 0


async def test_parallel_calls_and_a_second_round(scripted: Agent[None, str]) -> None:
    asked = add_weather(scripted)
    script = (
        'think two of them\ncall get_weather {"city": "東京"}\ncall get_weather {"city": "Rome"}\n'
        'then\ncall get_weather {"city": "Oslo"}'
    )
    async with scripted.run_stream(script) as stream:
        said = [text async for text in stream.stream_text(delta=True)]
    assert sorted(asked[:2]) == ["Rome", "東京"]
    assert asked[2:] == ["Oslo"]
    assert "degrees in Oslo" in "".join(said)
    thoughts = [
        part.content
        for message in stream.all_messages()
        for part in message.parts
        if isinstance(part, ThinkingPart)
    ]
    assert thoughts == ["two of them"]


@pytest.mark.parametrize("kind", [NativeOutput, ToolOutput])
async def test_typed_output(agent: Agent[None, str], kind: type) -> None:
    done = await agent.run("How shall I paint the wall?", output_type=kind(Paint))
    assert isinstance(done.output, Paint)


async def test_typed_output_beside_tools(scripted: Agent[None, str]) -> None:
    asked = add_weather(scripted)
    script = (
        'call get_weather {"city": "Rome"}\nthen\ncall final_result {"colour": "green", "coats": 2}'
    )
    done = await scripted.run(script, output_type=ToolOutput(Paint))
    assert asked == ["Rome"]
    assert done.output == Paint(colour="green", coats=2)
