"""Models that go warm, and a model with two engines, as clients and operators see them."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.load import CHAT, COMPLETIONS
from tests.support.server import MODEL, Server, serve, wait_until
from tests.support.wire import ask

REPLICAS = 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("warm")
    lines = ["builtin: false", "models:"]
    lines += ["  - {id: corral-tiny, source: builtin://corral-tiny, warm_after: 0.5}"]
    lines += ["  - {id: pair, source: builtin://corral-tiny, replicas: 2, max_sequences: 2}"]
    (folder / "models.yaml").write_text("\n".join(lines) + "\n")
    with serve(folder, LLM_CONTEXT_SIZE="2048") as running:
        yield running
    running.assert_no_alarm()


def row(server: Server, model: str) -> dict[str, Any]:
    return {one["id"]: one for one in server.get("/v1/models").json()["data"]}[model]


def size_in_memory(server: Server, model: str) -> int:
    running = server.get("/api/ps").json()["models"]
    return {one["name"]: one["size"] for one in running}[f"{model}:latest"]


async def test_a_model_goes_warm_and_answers_as_before(server: Server) -> None:
    said = {"model": MODEL, "messages": [{"role": "user", "content": "Name a colour of the sky."}]}
    said |= {"max_tokens": 24, "temperature": 0}
    texts: list[str] = []
    cached = 0
    for _ in range(2):
        answer = await ask(server.port, "POST", CHAT, said)
        assert answer.status == 200, answer.body
        body = answer.json()
        texts.append(body["choices"][0]["message"]["content"])
        cached = body["usage"]["prompt_tokens_details"]["cached_tokens"]
        hot = size_in_memory(server, MODEL)
        wait_until(lambda: row(server, MODEL)["state"] == "warm", "the model to be warm")
        assert size_in_memory(server, MODEL) < hot / 2
        assert server.get("/readyz").status_code == 200
        assert server.get("/livez").status_code == 200
    assert texts[0] == texts[1]
    assert cached > 0  # of what was computed before it went warm
    embedding = {"model": MODEL, "input": "the llama"}
    assert (await ask(server.port, "POST", "/v1/embeddings", embedding)).status == 200
    metrics = server.metrics()
    assert metrics.value("corral_models_cooled_total", model=MODEL, reason="idle") >= 2
    assert metrics.value("corral_model_warm_start_seconds_count", model=MODEL) >= 2
    assert metrics.value("corral_evictions_total") == 0


async def test_two_engines_look_like_one(server: Server) -> None:
    def said(number: int) -> dict[str, Any]:
        prompt = f"{number} llamas walk down the road and"
        return {"model": "pair", "prompt": prompt, "max_tokens": 100, "temperature": 0}

    more = {"ignore_eos": True}
    answers = await asyncio.gather(
        *(ask(server.port, "POST", COMPLETIONS, said(number) | more) for number in range(12))
    )
    assert [answer.status for answer in answers] == [200] * 12
    metrics = server.metrics()
    assert metrics.value("corral_sequences_capacity", model="pair") == 2 * REPLICAS
    assert metrics.value("corral_generated_tokens_total", model="pair") == 1200
    assert metrics.value("corral_replica_up", model="pair") == REPLICAS
    shares = [
        metrics.value("corral_replica_generated_tokens_total", model="pair", replica=str(number))
        for number in range(REPLICAS)
    ]
    assert sum(shares) == 1200
    assert min(shares) >= 400
    assert metrics.value("corral_replica_up", model=MODEL) == 0
    assert metrics.value("vllm:generation_tokens_total", model_name="pair", engine="0") == 1200


async def test_both_are_unloaded_as_one(server: Server) -> None:
    unload = {"model": "pair", "keep_alive": 0}
    assert (await ask(server.port, "POST", "/api/generate", unload)).status == 200
    assert row(server, "pair")["state"] == "cold"
    assert server.metrics().value("corral_generated_tokens_total", model="pair") == 1200
