"""Answers that are not streamed, embeddings and the model list."""

import base64
import struct
from typing import Any

import pytest

from app.core.errors import EngineFailed
from tests.unit.api.served import MODEL, chat, frames, serve
from tests.unit.services.scripted import Script

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
CALL = '<tool_call>{"name": "weather", "arguments": {"city": "Paris"}}</tool_call>'
TOOLS = [{"type": "function", "function": {"name": "weather", "description": None}}]


def completion(**fields: Any) -> dict[str, Any]:
    return {"model": MODEL, "prompt": "abc", **fields}


async def test_point_27_chat() -> None:
    body = (await serve().post(CHAT, chat())).json()
    assert body["id"].startswith("chatcmpl-")
    assert body["object"] == "chat.completion"
    assert isinstance(body["created"], int)
    assert body["model"] == MODEL
    assert body["system_fingerprint"] == "b1234"
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert body["usage"]["total_tokens"] == 24


async def test_point_17_tool_calls() -> None:
    body = (await serve(Script((CALL,))).post(CHAT, chat(tools=TOOLS))).json()
    (choice,) = body["choices"]
    (call,) = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert call["function"] == {"name": "weather", "arguments": '{"city": "Paris"}'}
    assert call["type"] == "function"
    assert "index" not in call


async def test_point_21_reasoning() -> None:
    served = serve(Script(("<think>hm</think>ok",)), template="{{ 1 }}</think>")
    message = (await served.post(CHAT, chat())).json()["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("hm", "ok")
    assert "reasoning" not in message


async def test_point_26_logprobs() -> None:
    body = (await serve().post(CHAT, chat(logprobs=True))).json()
    told = body["choices"][0]["logprobs"]
    assert [entry["token"] for entry in told["content"]] == ["Hel", "lo"]
    assert told["content"][0]["top_logprobs"] == []


async def test_choices_in_order() -> None:
    served = serve(Script(("a",), start_delay=0.02), Script(("b",)))
    body = (await served.post(CHAT, chat(n=2))).json()
    assert [choice["message"]["content"] for choice in body["choices"]] == ["a", "b"]
    assert [choice["index"] for choice in body["choices"]] == [0, 1]


async def test_guesses_are_counted() -> None:
    served = serve(Script(("a", "b"), accepted_tokens=1, rejected_tokens=4))
    for path, asked in ((CHAT, chat()), (COMPLETIONS, completion())):
        usage = (await served.post(path, asked)).json()["usage"]
        assert usage["completion_tokens"] == 2
        assert usage["completion_tokens_details"] == {
            "reasoning_tokens": 0,
            "accepted_prediction_tokens": 1,
            "rejected_prediction_tokens": 4,
        }


async def test_the_service_tier_is_the_one_that_was_given() -> None:
    async def told(**fields: Any) -> str | None:
        return (await serve().post(CHAT, chat(**fields))).json().get("service_tier")

    assert await told() is None
    assert await told(service_tier="auto") == "default"
    assert await told(service_tier="scale") == "default"
    assert await told(service_tier="flex") == "flex"
    assert await told(service_tier="flex", priority=0) == "default"
    assert await told(service_tier="auto", priority="batch") == "flex"


async def test_a_failure_is_an_http_error() -> None:
    served = serve(Script(("a",), failure=EngineFailed("gone")))
    response = await served.post(CHAT, chat())
    assert (response.status_code, response.json()["error"]["code"]) == (500, "engine_failed")


async def test_point_31_completions() -> None:
    body = (await serve().post(COMPLETIONS, completion())).json()
    assert body["id"].startswith("cmpl-")
    assert body["object"] == "text_completion"
    assert body["choices"] == [
        {"index": 0, "text": "Hello", "logprobs": None, "finish_reason": "stop"}
    ]


@pytest.mark.parametrize(
    "prompt", [["a", "b"], [[97], [98]]], ids=["strings", "lists of token ids"]
)
async def test_point_31_one_choice_for_each_prompt(prompt: object) -> None:
    served = serve(*(Script((text,)) for text in "wxyz"))
    body = (await served.post(COMPLETIONS, completion(prompt=prompt, n=2))).json()
    assert [choice["text"] for choice in body["choices"]] == ["w", "x", "y", "z"]
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2, 3]
    assert [spec.prompt[-1] for spec in served.engine.specs] == [97, 97, 98, 98]


async def test_token_ids_are_one_prompt() -> None:
    served = serve()
    await served.post(COMPLETIONS, completion(prompt=[97, 98]))
    assert served.engine.specs[0].prompt == (97, 98)


async def test_completions_stream() -> None:
    response = await serve().post(
        COMPLETIONS, completion(stream=True, logprobs=1, stream_options={"include_usage": True})
    )
    chunks = frames(response)
    choices = [chunk["choices"][0] for chunk in chunks[:-1]]
    assert [choice["text"] for choice in choices] == ["Hel", "lo", ""]
    assert [choice["finish_reason"] for choice in choices] == [None, None, "stop"]
    assert [choice["logprobs"] and choice["logprobs"]["text_offset"] for choice in choices] == [
        [0],
        [3],
        None,
    ]
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    assert chunks[-1]["usage"]["completion_tokens"] == 2


async def test_point_26_legacy_logprobs() -> None:
    served = serve(Script(("é", "lo")))
    body = (await served.post(COMPLETIONS, completion(logprobs=2))).json()
    assert body["choices"][0]["logprobs"] == {
        "tokens": ["é", "lo"],
        "token_logprobs": [-0.5, -0.5],
        "top_logprobs": [{"é": -0.5, "other": -9999.0}, {"lo": -0.5, "other": -9999.0}],
        "text_offset": [0, 1],
    }


async def test_echo_with_logprobs() -> None:
    body = (
        await serve().post(COMPLETIONS, completion(prompt=[97, 98], echo=True, logprobs=0))
    ).json()
    assert body["choices"][0]["text"] == "abHello"
    told = body["choices"][0]["logprobs"]
    assert told["tokens"] == ["a", "b", "Hel", "lo"]
    assert told["token_logprobs"] == [None, -2.0, -0.5, -0.5]
    assert told["text_offset"] == [0, 1, 2, 5]


async def test_echo_of_one_token() -> None:
    asked = completion(prompt=[97], echo=True, logprobs=0)
    told = (await serve().post(COMPLETIONS, asked)).json()["choices"][0]["logprobs"]
    assert told["token_logprobs"] == [None, -0.5, -0.5]
    assert told["text_offset"] == [0, 1, 4]


async def test_best_of() -> None:
    served = serve(Script(("bad",), logprob=-2), Script(("good",), logprob=-1))
    body = (await served.post(COMPLETIONS, completion(best_of=2))).json()
    assert [choice["text"] for choice in body["choices"]] == ["good"]
    assert body["usage"]["completion_tokens"] == 2


async def test_point_28_models() -> None:
    body = (await serve().get("/v1/models")).json()
    assert body["object"] == "list"
    for entry in body["data"]:
        assert entry["object"] == "model"
        assert isinstance(entry["created"], int)
        assert isinstance(entry["owned_by"], str)
        assert entry["max_model_len"] == entry["context_length"] == entry["context_window"] == 2048
        assert entry["max_output_tokens"] == 1024
        assert entry["meta"]["n_ctx_train"] == 4096
        assert entry["capabilities"] == ["chat", "completion"]
        assert (entry["state"], entry["device"], entry["gpu_layers"]) == ("hot", "CPU", 0)


@pytest.mark.parametrize("name", ["org/tiny:q8", "org%2Ftiny%3Aq8", "tiny", "tiny:latest"])
async def test_point_28_one_model(name: str) -> None:
    assert (await serve().get(f"/v1/models/{name}")).json()["id"] == MODEL


async def test_point_28_an_unknown_model() -> None:
    response = await serve().get("/v1/models/no/such:model")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"


async def embed(**fields: Any) -> dict[str, Any]:
    response = await serve().post("/v1/embeddings", {"model": MODEL, **fields})
    assert response.status_code == 200, response.text
    return response.json()


async def test_point_29_embeddings() -> None:
    body = await embed(input=["abcd", "ab"])
    assert body["object"] == "list"
    assert body["model"] == MODEL
    assert body["usage"] == {"prompt_tokens": 8, "total_tokens": 8}
    assert [entry["index"] for entry in body["data"]] == [0, 1]
    assert {entry["object"] for entry in body["data"]} == {"embedding"}
    assert body["data"][0]["embedding"][0] > body["data"][1]["embedding"][0]


async def test_point_29_base64_is_little_endian_float32() -> None:
    numbers = (await embed(input="ab", encoding_format="float"))["data"][0]["embedding"]
    text = (await embed(input="ab", encoding_format="base64"))["data"][0]["embedding"]
    assert struct.unpack("<4f", base64.b64decode(text)) == pytest.approx(numbers)


@pytest.mark.parametrize(
    ("value", "count"), [("ab", 1), (["a", "b"], 2), ([1, 2], 1), ([[1], [2, 3]], 2)]
)
async def test_point_29_forms_of_input(value: object, count: int) -> None:
    assert len((await embed(input=value))["data"]) == count


async def test_point_29_dimensions() -> None:
    (vector,) = (entry["embedding"] for entry in (await embed(input="ab", dimensions=2))["data"])
    assert len(vector) == 2
    assert sum(x * x for x in vector) == pytest.approx(1)


BAD_INPUTS: list[dict[str, Any]] = [
    {"input": ""},
    {"input": []},
    {"input": ["a", ""]},
    {"input": ["a", 1]},
    {"input": [[]]},
    {"input": [True]},
    {"input": [-1]},
    {"input": {}},
    {"input": ["a"] * 5},
    {"input": "a", "dimensions": 0},
    {"input": "a", "dimensions": 5},
    {"input": "a", "encoding_format": "hex"},
    {},
]


@pytest.mark.parametrize("fields", BAD_INPUTS)
async def test_point_29_refusals(fields: dict[str, Any]) -> None:
    response = await serve().post("/v1/embeddings", {"model": MODEL, **fields})
    assert response.status_code == 400
    named = set(fields) - {"input"} or {"input"}
    assert response.json()["error"]["param"] in named
