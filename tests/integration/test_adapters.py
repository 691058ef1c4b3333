"""LoRA adapters on a live server: models of their own on the same weights, none mixed up."""

import asyncio
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.make_gguf import TINY_LLAMA, make_adapter, write_adapter
from tests.integration.load import CHAT, wait_idle
from tests.llama.conftest import BUILTIN
from tests.support.server import Server, serve, wait_until
from tests.support.wire import ask

MANIFEST = """
models:
  - id: tiny
    source: builtin://corral-tiny
    aliases: [small]
    lora:
      - {id: one, source: one.gguf}
      - {id: two, source: two.gguf, scale: 2}
  - id: spoilt
    source: builtin://corral-tiny
    lora:
      - {id: other, source: other.gguf}
"""
# every way to say a set of adapters, and what it means
WAYS: dict[str, list[dict[str, Any]]] = {
    "none": [{"model": "tiny"}, {"model": "tiny", "lora": []}, {"model": "corral-tiny"}],
    "one": [{"model": "tiny:one"}, {"model": "small:one"}, {"model": "tiny", "lora": [{"id": 0}]}],
    "two": [{"model": "tiny:two:latest"}, {"model": "small", "lora": [{"id": 1, "scale": 2}]}],
    "both": [
        {"model": "tiny", "lora": [{"id": "two", "scale": -2}, {"id": "one", "scale": 0.5}]},
        {"model": "tiny", "lora": [{"id": 0, "scale": 0.5}, {"id": 1, "scale": -2}]},
    ],
}
# the model is sure of these answers; adapters make it more or less so
QUESTIONS = ("What is 2 times 6?", "What is the capital of France?")


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("adapters")
    for seed, name in enumerate(("one", "two"), 1):
        adapter = make_adapter(BUILTIN, strength=0.4 / seed, seed=seed)
        write_adapter(folder / f"{name}.gguf", adapter)
    write_adapter(folder / "other.gguf", make_adapter(TINY_LLAMA))
    (folder / "models.yaml").write_text(MANIFEST)
    with serve(folder, LLM_MAX_LOADED_MODELS="3") as running:
        yield running
    running.assert_no_alarm()


async def say(server: Server, question: str, **fields: Any) -> tuple[str, list[float]]:
    """An answer, and the log-probability of each of its tokens."""
    body = {
        "messages": [{"role": "user", "content": question}],
        "max_tokens": 12,
        "temperature": 0,
        "logprobs": True,
        **fields,
    }
    answer = await ask(server.port, "POST", CHAT, body)
    assert answer.status == 200, answer.body
    (choice,) = answer.json()["choices"]
    chances = [token["logprob"] for token in choice["logprobs"]["content"]]
    return choice["message"]["content"], chances


def distance(one: tuple[str, list[float]], other: tuple[str, list[float]]) -> float:
    """Of the log-probabilities; that to another text is infinite."""
    if one[0] != other[0]:
        return math.inf
    return max(abs(mine - its) for mine, its in zip(one[1], other[1], strict=True))


async def test_each_way_to_ask_gives_the_same_alone_and_at_once(adapted: Server) -> None:
    alone = {
        (name, question): await say(adapted, question, **ways[0])
        for name, ways in WAYS.items()
        for question in QUESTIONS
    }
    asked = [(name, way) for name, ways in WAYS.items() for way in ways] * 2
    for question in QUESTIONS:
        found = await asyncio.gather(*(say(adapted, question, **way) for _, way in asked))
        for (name, way), said in zip(asked, found, strict=True):
            own = distance(said, alone[name, question])
            others = [distance(said, alone[one, question]) for one in WAYS if one != name]
            # steps of other sizes move the last digits
            assert own < min(0.1, *others), way
    await wait_idle(adapted)
    assert adapted.metrics().value("corral_adapter_switches_total", model="tiny") > 4


async def test_the_log_and_the_metrics_name_adapters(adapted: Server) -> None:
    await say(adapted, "Hi", model="tiny", lora=[{"id": "two", "scale": 0.25}, {"id": 0}])
    wait_until(lambda: "two@0.25" in adapted.log, "the request's log line")
    (line,) = [json.loads(line) for line in adapted.lines if "two@0.25" in line]
    assert line["adapters"] == ["one", "two@0.25"]
    assert line["model"] == "tiny"
    metrics = adapted.metrics()
    names = {s.labels["adapter"] for s in metrics.samples if "adapter" in s.labels}
    assert names == {"one", "two"}
    assert metrics.value("corral_requests_total", model="tiny") > 0
    assert metrics.value("corral_requests_total", model="tiny:one") == 0
    (info,) = [
        s.labels
        for s in metrics.samples
        if s.name == "vllm:lora_requests_info" and s.labels["model_name"] == "tiny"
    ]
    assert info["max_lora"] == "2"


async def test_an_adapter_that_does_not_fit_harms_nobody(adapted: Server) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], "model": "spoilt:other"}
    answer = await ask(adapted.port, "POST", CHAT, body)
    assert answer.status == 500
    assert "The file other.gguf cannot be loaded: tensor" in answer.error["message"]
    assert "incorrect shape" in answer.error["message"]
    text, _ = await say(adapted, "What is 3 plus 4?", model="tiny:one")
    assert "7" in text


async def test_files_are_not_deleted_by_the_name_of_an_adapter(adapted: Server) -> None:
    answer = await ask(adapted.port, "DELETE", "/api/delete", {"model": "tiny:one"})
    assert answer.status == 400
    body = {"source": "tiny:one", "destination": "copy"}
    answer = await ask(adapted.port, "POST", "/api/copy", body)
    assert answer.status == 400
    assert "with an adapter" in answer.json()["error"]
