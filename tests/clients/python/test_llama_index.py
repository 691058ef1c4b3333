"""LlamaIndex's `OpenAILike`: chat, streams, tools, agents, structured predictions."""

from typing import Literal

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

MODEL = "corral-tiny"


class Paint(BaseModel):
    """How to paint a wall."""

    colour: Literal["red", "green", "blue"]
    coats: int


def get_weather(city: str) -> str:
    """Get the current weather in a city."""
    return f"sunny, 21 degrees in {city}"


def connect(url: str) -> OpenAILike:
    return OpenAILike(
        model=MODEL,
        api_base=url,
        api_key="unused",
        context_window=32768,
        is_chat_model=True,
        is_function_calling_model=True,
        temperature=0,
        max_tokens=300,
        max_retries=0,
    )


@pytest.fixture(scope="session")
def llm(url: str) -> OpenAILike:
    return connect(url)


@pytest.fixture(scope="session")
def scripted(scripted_url: str) -> OpenAILike:
    return connect(scripted_url)


def test_answer_and_stream(llm: OpenAILike) -> None:
    asked = [ChatMessage(role="user", content="What is the capital of France?")]
    whole = llm.chat(asked).message.content
    assert whole is not None
    assert "Paris" in whole
    assert "".join(piece.delta or "" for piece in llm.stream_chat(asked)) == whole


def test_completion(llm: OpenAILike) -> None:
    assert llm.complete("What is the capital of France?").text


async def test_the_built_in_model_in_an_agent(llm: OpenAILike) -> None:
    agent = FunctionAgent(tools=[get_weather], llm=llm, streaming=False)
    done = await agent.run("What is the weather in Paris?")
    assert [call.tool_kwargs for call in done.tool_calls] == [{"city": "Paris"}]
    assert "21" in str(done)


async def test_an_agent_that_streams_and_calls_twice(scripted: OpenAILike) -> None:
    agent = FunctionAgent(tools=[get_weather], llm=scripted)
    done = await agent.run(
        'call get_weather {"city": "東京"}\ncall get_weather {"city": "Rome"}\nthen\n'
        'call get_weather {"city": "Oslo"}'
    )
    assert [call.tool_kwargs["city"] for call in done.tool_calls] == ["東京", "Rome", "Oslo"]
    assert "degrees in Oslo" in str(done)


def test_structured_prediction(llm: OpenAILike) -> None:
    asked = PromptTemplate("How shall I paint the {what}?")
    assert isinstance(llm.structured_predict(Paint, asked, what="wall"), Paint)


def test_a_required_call(scripted: OpenAILike) -> None:
    tool = FunctionTool.from_defaults(get_weather)
    answer = scripted.chat_with_tools(
        [tool], user_msg='call get_weather {"city": "Rome"}', tool_required=True
    )
    (call,) = scripted.get_tool_calls_from_response(answer)
    assert call.tool_kwargs == {"city": "Rome"}
