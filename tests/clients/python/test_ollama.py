"""Ollama's own client, and LangChain's `ChatOllama`."""

import os
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_ollama import ChatOllama, OllamaEmbeddings
from ollama import AsyncClient, Client, ResponseError
from pydantic import BaseModel

MODEL = "corral-tiny"
ASKED = [{"role": "user", "content": "What is the capital of France?"}]
OPTIONS = {"temperature": 0, "num_predict": 24}
CALL = 'call get_weather {"city": "Paris"}'


class Llama(BaseModel):
    name: str
    age: int


def get_weather(city: str) -> str:
    """Get the current weather in a city.

    Args:
        city: Its name.
    """
    return f"sunny, 21 degrees in {city}"


@pytest.fixture(scope="session")
def host(url: str) -> str:
    return url.removesuffix("/v1")


@pytest.fixture(scope="session")
def client(host: str) -> Client:
    return Client(host)


@pytest.fixture(scope="session")
def scripted(scripted_url: str) -> Client:
    return Client(scripted_url.removesuffix("/v1"))


def test_an_answer(client: Client) -> None:
    answer = client.chat(MODEL, messages=ASKED, options=OPTIONS)
    assert answer.message.role == "assistant"
    assert "Paris" in answer.message.content
    assert (answer.done, answer.done_reason) == (True, "stop")
    assert answer.eval_count > 0
    assert answer.prompt_eval_count > 0
    assert answer.total_duration >= answer.eval_duration > 0


def test_a_stream_says_what_the_whole_answer_says(client: Client) -> None:
    whole = client.chat(MODEL, messages=ASKED, options=OPTIONS)
    parts = list(client.chat(MODEL, messages=ASKED, options=OPTIONS, stream=True))
    assert "".join(part.message.content for part in parts) == whole.message.content
    assert [part.done for part in parts[:-1]] == [False] * (len(parts) - 1)
    assert parts[-1].eval_count == whole.eval_count


async def test_the_asynchronous_client(host: str) -> None:
    client = AsyncClient(host)
    stream = await client.chat(MODEL, messages=ASKED, options=OPTIONS, stream=True)
    assert "Paris" in "".join([part.message.content async for part in stream])


def test_generate(client: Client) -> None:
    prompt = ASKED[0]["content"]
    whole = client.generate(MODEL, prompt, options=OPTIONS)
    assert "Paris" in whole.response
    parts = list(client.generate(MODEL, prompt, options=OPTIONS, stream=True))
    assert "".join(part.response for part in parts) == whole.response
    raw = client.generate(MODEL, prompt, raw=True, options={"num_predict": 4, "temperature": 0})
    assert raw.done_reason == "length"


def test_a_format(client: Client) -> None:
    asked = [{"role": "user", "content": "Describe a llama as JSON."}]
    answer = client.chat(
        MODEL, messages=asked, format=Llama.model_json_schema(), options={"temperature": 0}
    )
    assert Llama.model_validate_json(answer.message.content)


def test_a_tool_in_two_rounds(scripted: Client) -> None:
    messages: list[Any] = [{"role": "user", "content": f"{CALL}\n{CALL.replace('Paris', 'Oslo')}"}]
    called = scripted.chat(MODEL, messages=messages, tools=[get_weather])
    calls = called.message.tool_calls
    assert calls is not None
    assert [call.function.arguments["city"] for call in calls] == ["Paris", "Oslo"]
    messages.append(called.message)
    for call in calls:
        result = get_weather(**call.function.arguments)
        messages.append({"role": "tool", "content": result, "tool_name": call.function.name})
    answer = scripted.chat(MODEL, messages=messages, tools=[get_weather])
    assert "degrees in Paris" in answer.message.content
    assert "degrees in Oslo" in answer.message.content


def test_calls_and_thoughts_in_a_stream(scripted: Client) -> None:
    messages = [{"role": "user", "content": f"think I should look it up\n{CALL}"}]
    parts = list(
        scripted.chat(MODEL, messages=messages, tools=[get_weather], think=True, stream=True)
    )
    assert "".join(part.message.thinking or "" for part in parts) == "I should look it up"
    calls = [call for part in parts for call in part.message.tool_calls or ()]
    assert [call.function.name for call in calls] == ["get_weather"]


def test_embeddings(client: Client) -> None:
    answer = client.embed(MODEL, ["one", "two"])
    assert len(answer.embeddings) == 2
    assert client.embeddings(MODEL, "one").embedding == answer.embeddings[0]


def test_the_models(client: Client) -> None:
    listed = client.list().models
    assert f"{MODEL}:latest" in [model.model for model in listed]
    assert all(model.modified_at and model.digest and model.details for model in listed)
    card = client.show(MODEL)
    assert card.modelinfo["general.architecture"] == "llama"
    assert card.modelinfo["llama.context_length"] > 0
    assert "tools" in card.capabilities
    running = client.ps().models
    assert all(model.expires_at and model.context_length for model in running)


def test_a_pull_with_progress_and_what_is_made_of_it(scripted: Client) -> None:
    source = "hf://maker/model/python.gguf"
    told = list(scripted.pull(source, stream=True))
    assert told[0].status == "pulling manifest"
    assert [part.status for part in told[-3:]] == [
        "verifying sha256 digest",
        "writing manifest",
        "success",
    ]
    moving = [part for part in told if part.completed]
    assert moving[-1].completed == moving[-1].total > 0
    assert {part.digest for part in moving} == {moving[0].digest}
    assert scripted.pull(source).status == "success"
    name = "maker/model/python"
    assert f"{name}:latest" in [model.model for model in scripted.list().models]
    made = scripted.create(
        "brief", from_=name, system="Be brief.", parameters={"temperature": 0.5, "stop": ["END"]}
    )
    assert made.status == "success"
    card = scripted.show("brief")
    assert "temperature" in card.parameters
    assert "END" in card.parameters
    assert scripted.copy("brief", "brief-2").status == "success"
    assert scripted.generate("brief-2", "say Hi").response
    assert "brief-2:latest" in [model.model for model in scripted.ps().models]
    for gone in ("brief", "brief-2", name):
        assert scripted.delete(gone).status == "success"
    with pytest.raises(ResponseError, match="not found"):
        scripted.show("brief")


def test_a_model_of_a_file_that_is_sent(scripted: Client) -> None:
    builtin = Path(os.environ["CORRAL_BUILTIN"])
    digest = scripted.create_blob(builtin)
    told = list(scripted.create("sent", files={"sent.gguf": digest}, stream=True))
    assert told[-1].status == "success"
    assert scripted.chat("sent", messages=[{"role": "user", "content": "say Hi"}]).message.content
    scripted.delete("sent")


async def test_pulls_that_fail(scripted_url: str, scripted: Client) -> None:
    with pytest.raises(ResponseError, match="no such file"):
        list(scripted.pull("hf://maker/model/gone.gguf", stream=True))
    with pytest.raises(ResponseError, match="no model") as unknown:
        scripted.pull("gone")
    assert unknown.value.status_code == 404
    with pytest.raises(ResponseError, match="LLM_PULL_SOURCES"):
        scripted.pull("https://h.example/m.gguf")
    client = AsyncClient(scripted_url.removesuffix("/v1"))
    told = [part async for part in await client.pull(MODEL, stream=True)]
    assert told[-1].status == "success"


def test_what_is_refused(client: Client) -> None:
    with pytest.raises(ResponseError, match="not found") as unknown:
        client.chat("gone", messages=ASKED)
    assert unknown.value.status_code == 404
    with pytest.raises(ResponseError, match="images"):
        client.generate(MODEL, "What is it?", images=["aGVsbG8="])
    with pytest.raises(ResponseError, match="pushed"):
        client.push(MODEL)


@pytest.fixture(scope="session")
def langchain(host: str) -> ChatOllama:
    return ChatOllama(
        model=MODEL, base_url=host, temperature=0, num_predict=80, validate_model_on_init=True
    )


def test_langchain_answers_and_streams(langchain: ChatOllama) -> None:
    answer = langchain.invoke("What is the capital of France?")
    assert "Paris" in answer.text
    assert answer.usage_metadata["output_tokens"] > 0
    chunks = list(langchain.stream("What is the capital of France?"))
    assert "".join(chunk.text for chunk in chunks) == answer.text
    assert "stop" in [chunk.response_metadata.get("done_reason") for chunk in chunks]


def test_langchain_calls_a_tool_and_retells_its_result(langchain: ChatOllama) -> None:
    weather = tool(get_weather)
    able = langchain.bind_tools([weather])
    asked = HumanMessage("What is the weather in Paris?")
    called = able.invoke([asked])
    (call,) = called.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})
    result = weather.invoke(call)
    assert isinstance(result, ToolMessage)
    assert "21" in able.invoke([asked, called, result]).text


async def test_langchain_streams_a_call(scripted_url: str) -> None:
    model = ChatOllama(model=MODEL, base_url=scripted_url.removesuffix("/v1"))
    whole = None
    async for chunk in model.bind_tools([tool(get_weather)]).astream(CALL):
        whole = chunk if whole is None else whole + chunk
    assert whole is not None
    assert [call["args"] for call in whole.tool_calls] == [{"city": "Paris"}]


def test_langchain_structured_output(langchain: ChatOllama) -> None:
    found = langchain.with_structured_output(Llama).invoke("Describe a llama as JSON.")
    assert isinstance(found, Llama)


def test_langchain_embeddings(host: str) -> None:
    vectors = OllamaEmbeddings(model=MODEL, base_url=host).embed_documents(["one", "two"])
    assert len(vectors) == 2
    assert sum(x * x for x in vectors[0]) == pytest.approx(1, abs=1e-4)
