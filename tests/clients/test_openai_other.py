"""Completions, embeddings and models through OpenAI's Python client."""

import base64
import math
import struct

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.support.server import MODEL, Server

RANDOM = "lab/random:tiny"


def length_of(vector: list[float]) -> float:
    return math.sqrt(sum(value * value for value in vector))


# --- completions ----------------------------------------------------------------------------------


def test_completion(client: OpenAI) -> None:
    answer = client.completions.create(
        model=MODEL, prompt="Once upon a time", temperature=0, max_tokens=16
    )
    assert answer.object == "text_completion"
    assert answer.id.startswith("cmpl-")
    assert answer.choices[0].text
    with client.completions.create(
        model=MODEL, prompt="Once upon a time", temperature=0, max_tokens=16, stream=True
    ) as stream:
        assert "".join(chunk.choices[0].text for chunk in stream) == answer.choices[0].text


def test_prompts_and_their_answers_keep_their_order(client: OpenAI) -> None:
    answer = client.completions.create(
        model=MODEL, prompt=["one", "two", "three"], n=2, seed=1, max_tokens=4, echo=True
    )
    assert [choice.index for choice in answer.choices] == list(range(6))
    starts = ["one", "one", "two", "two", "three", "three"]
    for choice, start in zip(answer.choices, starts, strict=True):
        assert choice.text.startswith(start)


async def test_token_prompts(async_client: AsyncOpenAI) -> None:
    answer = await async_client.completions.create(
        model=RANDOM, prompt=[[40, 41, 42], [43, 44]], max_tokens=3, temperature=0
    )
    alone = await async_client.completions.create(
        model=RANDOM, prompt=[40, 41, 42], max_tokens=3, temperature=0
    )
    assert len(answer.choices) == 2
    assert answer.choices[0].text == alone.choices[0].text
    assert alone.usage is not None
    assert alone.usage.prompt_tokens == 3


def test_best_of_keeps_the_likeliest(client: OpenAI) -> None:
    answer = client.completions.create(
        model=MODEL, prompt="The sky is", best_of=4, n=2, seed=5, max_tokens=8, temperature=1
    )
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 16


def test_echo_with_logprobs(client: OpenAI) -> None:
    prompt = "The llama walks, and the llama sleeps."
    answer = client.completions.create(
        model=MODEL, prompt=prompt, echo=True, logprobs=2, max_tokens=4, temperature=0
    )
    choice = answer.choices[0]
    assert choice.text.startswith(prompt)
    told = choice.logprobs
    assert told is not None
    assert told.tokens is not None
    assert told.token_logprobs is not None
    assert told.text_offset is not None
    assert told.top_logprobs is not None
    sizes = {len(told.tokens), len(told.token_logprobs), len(told.text_offset)}
    assert len(sizes) == 1
    assert told.text_offset[0] == 0
    assert told.text_offset == sorted(told.text_offset)
    assert "".join(told.tokens) == choice.text
    # Nothing comes before the first token, so nothing is known about it.
    assert told.token_logprobs[0] is None
    assert all(value <= 0 for value in told.token_logprobs[1:])


def test_echo_alone_scores_the_prompt(client: OpenAI) -> None:
    answer = client.completions.create(
        model=MODEL, prompt="Paris is a city", echo=True, logprobs=1, max_tokens=0
    )
    assert answer.choices[0].text == "Paris is a city"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 0


# --- embeddings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [MODEL, "bert"])
def test_embeddings(client: OpenAI, model: str) -> None:
    texts = ["the llama", "an alpaca walks", "the llama"]
    answer = client.embeddings.create(model=model, input=texts)
    vectors = [item.embedding for item in answer.data]
    assert [item.index for item in answer.data] == [0, 1, 2]
    assert [length_of(vector) for vector in vectors] == pytest.approx([1, 1, 1], abs=1e-4)
    assert vectors[0] == pytest.approx(vectors[2], abs=1e-3)
    assert vectors[0] != pytest.approx(vectors[1], abs=1e-3)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0
    plain = client.embeddings.create(model=model, input=texts, encoding_format="float")
    assert plain.data[0].embedding == pytest.approx(vectors[0], abs=1e-3)


def test_base64_is_little_endian_float32(client: OpenAI) -> None:
    raw = client.embeddings.with_raw_response.create(model="bert", input="the llama")
    (item,) = raw.http_response.json()["data"]
    decoded = base64.b64decode(item["embedding"])
    values = struct.unpack(f"<{len(decoded) // 4}f", decoded)
    assert length_of(list(values)) == pytest.approx(1, abs=1e-4)


async def test_shorter_embeddings_have_length_one(async_client: AsyncOpenAI) -> None:
    whole = await async_client.embeddings.create(model="bert", input="the llama")
    cut = await async_client.embeddings.create(model="bert", input="the llama", dimensions=16)
    vector = cut.data[0].embedding
    assert len(vector) == 16
    assert length_of(vector) == pytest.approx(1, abs=1e-4)
    first = whole.data[0].embedding[:16]
    assert vector == pytest.approx([value / length_of(first) for value in first], abs=1e-3)


def test_token_inputs(client: OpenAI) -> None:
    answer = client.embeddings.create(model="bert", input=[[2, 10, 3], [2, 11, 3]])
    assert len(answer.data) == 2
    assert answer.usage.prompt_tokens == 6


def test_models_refuse_what_they_cannot_do(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="bert", messages=[{"role": "user", "content": "Hi"}])
    assert caught.value.code == "unsupported_operation"
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model="bert", input="the " * 600)
    assert caught.value.code == "context_length_exceeded"


# --- models ---------------------------------------------------------------------------------------


def test_models(client: OpenAI) -> None:
    listed = {model.id: model for model in client.models.list()}
    assert {MODEL, RANDOM, "bert"} <= set(listed)
    for model in listed.values():
        assert model.object == "model"
        assert model.created > 0
        assert model.owned_by


def test_a_model_whose_name_has_a_slash_and_a_colon(client: OpenAI, server: Server) -> None:
    found = client.models.retrieve(RANDOM)
    assert found.id == RANDOM
    # Some clients escape the name, some do not.
    for name in ("lab/random:tiny", "lab%2Frandom%3Atiny", "lab/random%3atiny"):
        assert server.get(f"/v1/models/{name}").json()["id"] == RANDOM


async def test_unknown_model(async_client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await async_client.models.retrieve("lab/nothing:here")
    assert caught.value.code == "model_not_found"
