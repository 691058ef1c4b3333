"""Tokens, prompts, ranking and wide embeddings on a live server, while chat runs."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest

from scripts.make_gguf import write_causal_reranker, write_reranker
from tests.support.server import MODEL, Server, serve

CHAT = [{"role": "user", "content": "What is the capital of France?"}]
QUERY = "what is a llama"
DOCUMENTS = ["a llama is an animal", "the pen is closed", "", "two words"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("texts")
    (folder / "models").mkdir()
    write_reranker(folder / "models" / "pairs.gguf")
    write_causal_reranker(folder / "models" / "yes-no.gguf")
    with serve(folder, LLM_MAX_LOADED_MODELS="3") as started:
        yield started
        started.assert_no_alarm()


def post(server: Server, path: str, body: dict[str, Any]) -> Any:
    response = server.client.post(server.url + path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def test_text_goes_to_tokens_and_back(server: Server) -> None:
    text = "The capital of France is Paris. Größe 東京"
    tokens = post(server, "/tokenize", {"content": text})["tokens"]
    assert post(server, "/detokenize", {"tokens": tokens})["content"] == text


def test_the_count_is_the_one_that_is_billed(server: Server) -> None:
    body = {"model": MODEL, "messages": CHAT, "max_tokens": 1}
    counted = post(server, "/v1/chat/completions/input_tokens", body)["input_tokens"]
    usage = post(server, "/v1/chat/completions", body)["usage"]
    assert counted == usage["prompt_tokens"]
    prompt = post(server, "/apply-template", body)["prompt"]
    made = post(server, "/tokenize", {"prompt": prompt})
    assert made["count"] == counted


@pytest.mark.parametrize("model", ["pairs", "yes-no"])
def test_a_reranker_ranks(server: Server, model: str) -> None:
    body = {"model": model, "query": QUERY, "documents": DOCUMENTS, "return_documents": True}
    made = post(server, "/v1/rerank", body)
    scores = [row["relevance_score"] for row in made["results"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert len(set(scores)) == len(DOCUMENTS)
    assert {row["document"]["text"] for row in made["results"]} == set(DOCUMENTS)
    assert made["meta"]["method"] == "rank"
    first = post(server, "/v1/rerank", {**body, "documents": DOCUMENTS[:1]})["results"][0]
    alone = next(row for row in made["results"] if row["index"] == 0)
    assert first["relevance_score"] == pytest.approx(alone["relevance_score"], abs=1e-6)


def test_a_reranker_says_what_it_is(server: Server) -> None:
    rows = {row["id"]: row for row in server.get("/v1/models").json()["data"]}
    assert rows["pairs"]["capabilities"] == ["embedding", "rerank"]
    assert rows["yes-no"]["capabilities"] == ["embedding", "rerank"]
    answer = server.client.post(
        f"{server.base_url}/chat/completions", json={"model": "yes-no", "messages": CHAT}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "unsupported_operation"


def test_a_chat_model_ranks_by_its_vectors(server: Server) -> None:
    body = {"model": MODEL, "query": QUERY, "documents": DOCUMENTS[:2]}
    made = post(server, "/v1/rerank", body)
    assert made["meta"]["method"] == "embeddings"
    vectors = post(server, "/v1/embeddings", {"model": MODEL, "input": [QUERY, *DOCUMENTS[:2]]})
    query, *others = [np.array(row["embedding"]) for row in vectors["data"]]
    scores = {row["index"]: row["relevance_score"] for row in made["results"]}
    for index, vector in enumerate(others):
        assert scores[index] == pytest.approx(float(query @ vector), abs=1e-5)


def test_five_hundred_inputs_while_chat_runs(server: Server) -> None:
    """Chat goes on meanwhile, and long inputs are read in pieces."""
    inputs = [f"llama number {number}" for number in range(499)] + ["a long pen " * 400]

    def embed() -> Any:
        return httpx.post(
            f"{server.base_url}/embeddings",
            json={"model": MODEL, "input": inputs, "dimensions": 32},
            timeout=110,
            trust_env=False,
        ).json()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(embed)
        answered = 0
        while not running.done():
            body = {"model": MODEL, "messages": CHAT, "max_tokens": 8, "temperature": 0}
            text = post(server, "/v1/chat/completions", body)["choices"][0]["message"]["content"]
            assert text
            answered += 1
        made = running.result()
    assert answered >= 2
    assert [row["index"] for row in made["data"]] == list(range(500))
    vectors = np.array([row["embedding"] for row in made["data"]])
    assert vectors.shape == (500, 32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
