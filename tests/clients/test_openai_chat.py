"""Chat completions through OpenAI's Python client: plain, streamed, parsed, refused."""

from typing import Any, Literal

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

from tests.support.server import MODEL

GREETING: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello, who are you?"}]
LIMIT = 24


class Paint(BaseModel):
    """Every field has few values, so that even a model without sense ends the object."""

    colour: Literal["red", "green", "blue"]
    coats: Literal[1, 2, 3]
    is_dry: bool


def test_answer(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=GREETING, temperature=0, max_tokens=LIMIT
    )
    assert answer.id.startswith("chatcmpl-")
    assert answer.object == "chat.completion"
    assert answer.model == MODEL
    assert answer.system_fingerprint is not None
    assert answer.system_fingerprint.startswith("b")
    (choice,) = answer.choices
    assert choice.index == 0
    assert choice.logprobs is None
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.message.refusal is None
    assert choice.finish_reason in {"stop", "length"}
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 0
    assert 0 < answer.usage.completion_tokens <= LIMIT
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_tier_and_a_prediction(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=GREETING,
        max_tokens=LIMIT,
        service_tier="flex",
        safety_identifier="rosa",
        prediction={"type": "content", "content": [{"type": "text", "text": "I am Corral."}]},
        extra_body={"speculation": "ngram"},
    )
    assert answer.service_tier == "flex"
    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    assert answer.usage.completion_tokens_details.accepted_prediction_tokens is not None
    assert answer.usage.completion_tokens_details.rejected_prediction_tokens is not None


def test_stream_says_what_the_whole_answer_says(client: OpenAI) -> None:
    whole = client.chat.completions.create(
        model=MODEL, messages=GREETING, temperature=0, max_tokens=LIMIT
    )
    with client.chat.completions.create(
        model=MODEL,
        messages=GREETING,
        temperature=0,
        max_tokens=LIMIT,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        chunks = list(stream)
    *spoken, last = chunks
    assert {(chunk.id, chunk.created, chunk.model, chunk.object) for chunk in chunks} == {
        (last.id, last.created, MODEL, "chat.completion.chunk")
    }
    text = "".join(chunk.choices[0].delta.content or "" for chunk in spoken)
    assert text == whole.choices[0].message.content
    assert [chunk.choices[0].delta.role for chunk in spoken if chunk.choices[0].delta.role] == [
        "assistant"
    ]
    assert [chunk.choices[0].finish_reason for chunk in spoken[:-1]] == [None] * (len(spoken) - 1)
    assert spoken[-1].choices[0].finish_reason == whole.choices[0].finish_reason
    assert last.choices == []
    assert last.usage == whole.usage


async def test_async_answer_and_stream(async_client: AsyncOpenAI) -> None:
    whole = await async_client.chat.completions.create(
        model=MODEL, messages=GREETING, temperature=0, max_completion_tokens=LIMIT
    )
    stream = await async_client.chat.completions.create(
        model=MODEL, messages=GREETING, temperature=0, max_completion_tokens=LIMIT, stream=True
    )
    async with stream:
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(pieces) == whole.choices[0].message.content


def test_stream_helper(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model=MODEL,
        messages=GREETING,
        temperature=0,
        max_tokens=LIMIT,
        stream_options={"include_usage": True},
    ) as stream:
        kinds: list[str] = []
        text = ""
        for event in stream:
            kinds.append(event.type)
            if event.type == "content.delta":
                text += event.delta
        final = stream.get_final_completion()
    assert kinds.count("content.done") == 1
    assert final.choices[0].message.content == text
    assert final.choices[0].message.role == "assistant"
    assert final.usage is not None


async def test_async_stream_helper_with_choices(async_client: AsyncOpenAI) -> None:
    async with async_client.chat.completions.stream(
        model=MODEL, messages=GREETING, n=3, seed=7, max_tokens=LIMIT
    ) as stream:
        final = await stream.get_final_completion()
    assert [choice.index for choice in final.choices] == [0, 1, 2]
    assert all(choice.message.role == "assistant" for choice in final.choices)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_parse_gives_an_object(client: OpenAI, temperature: float) -> None:
    answer = client.chat.completions.parse(
        model=MODEL,
        messages=[{"role": "user", "content": "Describe the wall as JSON."}],
        response_format=Paint,
        temperature=temperature,
        seed=3,
        max_tokens=200,
    )
    assert answer.choices[0].finish_reason == "stop"
    assert isinstance(answer.choices[0].message.parsed, Paint)


async def test_async_stream_helper_parses(async_client: AsyncOpenAI) -> None:
    async with async_client.chat.completions.stream(
        model=MODEL, messages=GREETING, response_format=Paint, max_tokens=200, temperature=0
    ) as stream:
        final = await stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, Paint)


def test_parse_says_when_the_answer_was_cut(client: OpenAI) -> None:
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(
            model=MODEL, messages=GREETING, response_format=Paint, max_tokens=2, temperature=0
        )


def test_four_answers_differ_and_a_seed_repeats_them(client: OpenAI) -> None:
    def ask(seed: int) -> list[str | None]:
        answer = client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": "Tell me a short story."}],
            n=4,
            seed=seed,
            temperature=1.5,
            max_tokens=LIMIT,
        )
        assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
        return [choice.message.content for choice in answer.choices]

    first = ask(11)
    assert len(set(first)) > 1
    assert ask(11) == first


def test_logprobs(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=GREETING, temperature=0, max_tokens=8, logprobs=True, top_logprobs=3
    )
    choice = answer.choices[0]
    assert choice.logprobs is not None
    assert choice.logprobs.content
    for token in choice.logprobs.content:
        assert token.logprob <= 0
        assert len(token.top_logprobs) == 3
        likely = [candidate.logprob for candidate in token.top_logprobs]
        assert likely == sorted(likely, reverse=True)
        assert token.top_logprobs[0].bytes == token.bytes
    spelled = bytes(byte for token in choice.logprobs.content for byte in token.bytes or ())
    assert spelled.decode(errors="replace") == choice.message.content


def test_a_long_prompt_is_answered(client: OpenAI) -> None:
    story = "Once upon a time there was a llama that liked to walk. " * 150
    answer = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": story}], max_tokens=4
    )
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 1000
    assert answer.choices[0].finish_reason in {"stop", "length"}


def test_context_overflow_is_a_bad_request(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model="lab/random:tiny", messages=[{"role": "user", "content": "the llama " * 3000}]
        )
    error = caught.value
    assert error.code == "context_length_exceeded"
    assert error.param == "messages"
    assert error.type == "invalid_request_error"
    body: dict[str, Any] = error.response.json()["error"]
    n_prompt, n_ctx = body["n_prompt_tokens"], body["n_ctx"]
    assert n_prompt > n_ctx > 0
    assert body["message"] == (
        f"This model's maximum context length is {n_ctx} tokens. However, your request has "
        f"{n_prompt} tokens, which exceeds the available context size. "
        f"Please reduce the length of the messages."
    )


def test_overflow_comes_before_the_stream(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="exceeds the available context size"):
        client.chat.completions.create(
            model="lab/random:tiny",
            messages=[{"role": "user", "content": "the llama " * 3000}],
            stream=True,
        )


def test_generation_up_to_the_end_of_the_context_is_cut(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="random",
        messages=[{"role": "user", "content": "of the " * 980}],
        extra_body={"ignore_eos": True},
    )
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 2048


def test_unknown_model_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="nobody/knows:it", messages=GREETING)
    assert caught.value.code == "model_not_found"
    assert "nobody/knows:it" in caught.value.message


def test_a_wrong_value_names_its_parameter(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=GREETING, temperature=-1)
    assert caught.value.param == "temperature"
    assert caught.value.type == "invalid_request_error"


def test_headers(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL,
        messages=GREETING,
        max_tokens=2,
        extra_headers={"x-request-id": "made-by-the-test-1"},
    )
    assert raw.headers["x-request-id"] == "made-by-the-test-1"
    assert raw.request_id == "made-by-the-test-1"
    assert int(raw.headers["openai-processing-ms"]) >= 0
    answer = raw.parse()
    assert answer.choices
    other = client.models.with_raw_response.list()
    assert other.headers["x-request-id"] != "made-by-the-test-1"
