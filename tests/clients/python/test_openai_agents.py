"""OpenAI's Agents SDK on the Responses wire: tools, streams, conversations kept by the server."""

import pytest
from agents import (
    Agent,
    ModelSettings,
    OpenAIConversationsSession,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from pydantic import BaseModel

MODEL = "corral-tiny"

set_tracing_disabled(disabled=True)


class City(BaseModel):
    name: str
    population: int


@function_tool
def get_weather(city: str) -> str:
    """Get the current weather in a city."""
    return f"sunny, 21 degrees in {city}"


def make_agent(client: AsyncOpenAI, **fields: object) -> Agent:
    model = OpenAIResponsesModel(model=MODEL, openai_client=client)
    settings = ModelSettings(temperature=0, max_tokens=200)
    return Agent(name="Helper", model=model, model_settings=settings, **fields)


@pytest.fixture
async def client(url: str):
    async with AsyncOpenAI(base_url=url, api_key="unused", max_retries=0) as made:
        yield made


@pytest.fixture
async def scripted(scripted_url: str):
    async with AsyncOpenAI(base_url=scripted_url, api_key="unused", max_retries=0) as made:
        yield made


async def test_the_built_in_model_uses_a_tool(client: AsyncOpenAI) -> None:
    agent = make_agent(client, tools=[get_weather])
    result = await Runner.run(agent, "What is the weather in Paris?")
    assert "21" in result.final_output
    assert [item.type for item in result.new_items] == [
        "tool_call_item",
        "tool_call_output_item",
        "message_output_item",
    ]


async def test_a_streamed_run_with_two_calls(scripted: AsyncOpenAI) -> None:
    agent = make_agent(scripted, tools=[get_weather])
    script = (
        'think about both\ncall get_weather {"city": "Rome"}\ncall get_weather {"city": "Oslo"}'
    )
    running = Runner.run_streamed(agent, script)
    kinds = [
        event.data.type
        async for event in running.stream_events()
        if event.type == "raw_response_event"
    ]
    assert kinds.count("response.completed") == 2
    assert "response.function_call_arguments.delta" in kinds
    assert "sunny, 21 degrees in Rome; sunny, 21 degrees in Oslo" in running.final_output
    usage = running.context_wrapper.usage
    assert usage.requests == 2
    assert usage.input_tokens > 100


async def test_a_typed_answer(client: AsyncOpenAI) -> None:
    agent = make_agent(client, output_type=City)
    result = await Runner.run(agent, "Describe Paris as JSON.")
    assert isinstance(result.final_output, City)


async def test_the_server_keeps_the_conversation(client: AsyncOpenAI) -> None:
    agent = make_agent(client)
    session = OpenAIConversationsSession(openai_client=client)
    first = await Runner.run(agent, "What is the capital of France?", session=session)
    assert first.final_output == "The capital of France is Paris."
    await Runner.run(agent, "What is the capital of Italy?", session=session)
    items = await session.get_items()
    assert [item["role"] for item in items] == ["user", "assistant"] * 2
    await session.clear_session()


async def test_a_chain_of_responses(client: AsyncOpenAI) -> None:
    agent = make_agent(client)
    first = await Runner.run(agent, "What is the capital of France?")
    second = await Runner.run(
        agent, "What is the capital of Italy?", previous_response_id=first.last_response_id
    )
    assert second.final_output == "The capital of Italy is Rome."
