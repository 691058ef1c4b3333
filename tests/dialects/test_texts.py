"""Tokens, prompts and ranking over HTTP, as llama-server, vLLM, Jina, Cohere and TEI have them."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.api.served import MODEL, TOOL, USER, chat, refuse, serve
from tests.unit.services.scripted import INFO
from tests.unit.services.test_rerank import ScriptedRanker

TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.role }}:{{ m.content }}<|im_end|>{% endfor %}"


async def answer(path: str, body: dict[str, Any], **changes: Any) -> Any:
    response = await serve(**changes).post(path, body)
    assert response.status_code == 200, response.text
    return response.json()


async def test_tokenize_as_llama_server() -> None:
    plain = await answer("/tokenize", {"model": MODEL, "content": "ab<|im_end|>"})
    assert plain == {"tokens": [97, 98, 259], "count": 3, "max_model_len": 2048}
    body = {"model": MODEL, "content": "é", "add_special": True, "with_pieces": True}
    assert (await answer("/tokenize", body))["tokens"] == [
        {"id": 256, "piece": "<s>"},
        {"id": 0xC3, "piece": [0xC3]},
        {"id": 0xA9, "piece": [0xA9]},
    ]
    text = {"model": MODEL, "content": "<s>", "parse_special": False}
    assert (await answer("/tokenize", text))["count"] == 3


async def test_tokenize_as_vllm() -> None:
    body = {"model": MODEL, "prompt": "ab", "return_token_strs": True}
    made = await answer("/tokenize", body)
    assert made["tokens"] == [256, 97, 98]
    assert made["token_strs"] == ["<s>", "a", "b"]
    bare = await answer("/tokenize", {**body, "add_special_tokens": False})
    assert bare["count"] == 2


async def test_a_model_need_not_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    info = replace(INFO, aliases=("default",))
    assert (await answer("/tokenize", {"content": "a"}, info=info))["count"] == 1


async def test_detokenize() -> None:
    made = await answer("/detokenize", {"model": MODEL, "tokens": [258, 0xC3, 0xA9]})
    assert made == {"content": "<|im_start|>é", "prompt": "<|im_start|>é"}
    assert (await answer("/detokenize", {"model": MODEL, "tokens": []}))["content"] == ""


async def test_the_template_and_the_number_of_tokens() -> None:
    prompt = (await answer("/apply-template", chat(), template=TEMPLATE))["prompt"]
    assert prompt == "<|im_start|>user:Hi<|im_end|>"
    counted = await answer("/v1/chat/completions/input_tokens", chat(), template=TEMPLATE)
    assert counted == {"object": "response.input_tokens", "input_tokens": 1 + 1 + 7 + 1}
    tokens = await answer("/tokenize", {"model": MODEL, "messages": USER}, template=TEMPLATE)
    assert tokens["count"] == counted["input_tokens"]


async def test_the_count_is_what_an_answer_bills() -> None:
    served = serve(template=TEMPLATE)
    body = chat(tools=[TOOL])
    counted = await served.post("/v1/chat/completions/input_tokens", body)
    whole = await served.post("/v1/chat/completions", body)
    assert counted.json()["input_tokens"] == whole.json()["usage"]["prompt_tokens"]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/tokenize", {"model": MODEL}, "content"),
        ("/tokenize", {"model": MODEL, "content": "a", "prompt": "b"}, "content"),
        ("/tokenize", {"model": MODEL, "content": 5}, "content"),
        ("/detokenize", {"model": MODEL}, "tokens"),
        ("/detokenize", {"model": MODEL, "tokens": [300]}, "tokens"),
        ("/detokenize", {"model": MODEL, "tokens": ["a"]}, "tokens[0]"),
        ("/detokenize", {"model": MODEL, "tokens": [-1]}, "tokens[0]"),
        ("/apply-template", {"model": MODEL}, "messages"),
        ("/v1/chat/completions/input_tokens", {"model": MODEL, "messages": []}, "messages"),
        ("/v1/rerank", {"model": MODEL, "documents": ["a"]}, "query"),
        ("/v1/rerank", {"model": MODEL, "query": "q"}, "documents"),
        ("/v1/rerank", {"model": MODEL, "query": "q", "documents": []}, "documents"),
        ("/v1/rerank", {"model": MODEL, "query": "q", "documents": ["a"] * 5}, "documents"),
        ("/v1/rerank", {"query": "q", "documents": ["a"]}, "model"),
        ("/v1/rerank", {"model": MODEL, "query": "q", "documents": ["a"], "top_n": 0}, "top_n"),
        ("/rerank", {"query": "q", "texts": ["a"]}, "model"),
    ],
)
async def test_refusals(path: str, body: dict[str, Any], param: str) -> None:
    assert (await refuse(path, body))["param"] == param


RANK = {"model": MODEL, "query": "q", "documents": ["a", {"text": "bbb"}]}


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank", "/rerank"])
async def test_rerank(path: str) -> None:
    made = await answer(path, RANK, ranker=ScriptedRanker())
    assert [row["index"] for row in made["results"]] == [1, 0]
    assert set(made["results"][0]) == {"index", "relevance_score"}
    assert made["model"] == MODEL
    assert made["usage"] == {"prompt_tokens": 12, "total_tokens": 12}
    assert made["meta"] == {"method": "rank"}


async def test_rerank_returns_documents_where_asked() -> None:
    body = {**RANK, "top_n": 1, "return_documents": True}
    made = await answer("/v1/rerank", body, ranker=ScriptedRanker())
    assert [row["document"] for row in made["results"]] == [{"text": "bbb"}]


async def test_rerank_by_embeddings_says_so() -> None:
    assert (await answer("/v1/rerank", RANK))["meta"] == {"method": "embeddings"}


async def test_rerank_as_tei() -> None:
    info = replace(INFO, capabilities=("rerank",))
    body = {"query": "q", "texts": ["a", "bbb"], "return_text": True}
    made = await answer("/rerank", body, ranker=ScriptedRanker(), info=info)
    assert [(row["index"], row["text"]) for row in made] == [(1, "bbb"), (0, "a")]
    assert made[0]["score"] > made[1]["score"]
