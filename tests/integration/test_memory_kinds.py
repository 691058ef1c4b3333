"""Models of every kind of memory, served: one cache for all, split, and windows kept whole."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import numpy as np
import pytest

from scripts.make_gguf import ARCHITECTURES, write_encoder, write_tiny
from tests.integration.load import COMPLETIONS, wait_idle
from tests.support.server import Server, serve
from tests.support.wire import Answer, ask

WINDOW = 512
CACHES = {
    "unified": {"LLM_KV_SIZE": "768"},
    "split": {"LLM_KV_UNIFIED": "false"},
    "full": {"LLM_SWA_FULL": "true"},
}
SERVED = [name for name in ARCHITECTURES if name != "t5"]
MODELS = {
    "unified": SERVED,
    "split": ["llama", "gemma3", "mamba", "lfm2"],
    "full": ["gemma3", "gpt-oss"],
}
EACH = [(kind, model) for kind, models in MODELS.items() for model in models]
BEGINNING = "the llama and the other llamas look out of the pen. " * 4


@pytest.fixture(scope="module")
def zoos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """Gives the server of each kind of cache, which it starts when it is first asked."""
    with ExitStack() as stack:

        @cache
        def start(kind: str) -> Server:
            folder = tmp_path_factory.mktemp(kind)
            (folder / "models").mkdir()
            for name in ARCHITECTURES:
                write_tiny(folder / "models" / f"{name}.gguf", name)
            write_encoder(folder / "models" / "bert.gguf")
            settings = {
                "LLM_CONTEXT_SIZE": str(WINDOW),
                "LLM_MAX_SEQUENCES": "4",
                "LLM_MAX_LOADED_MODELS": "2",
                "LLM_PRELOAD": "none",
                **CACHES[kind],
            }
            return stack.enter_context(serve(folder, **settings))

        yield start
        servers = [start(kind) for kind in CACHES]
    for server in servers:
        server.assert_no_alarm()


@pytest.fixture
def zoo(zoos: Callable[[str], Server], request: pytest.FixtureRequest) -> Server:
    return zoos(request.param)


async def write(server: Server, model: str, prompt: str, tokens: int | None) -> Answer:
    asked: dict[str, Any] = {
        "model": model,
        "prompt": prompt,
        "max_tokens": tokens or 2 * WINDOW,
        "ignore_eos": True,
        "temperature": 0,
    }
    return await ask(server.port, "POST", COMPLETIONS, asked)


@pytest.mark.parametrize(("zoo", "model"), EACH, indirect=["zoo"])
async def test_an_answer_goes_to_the_end_of_the_context(zoo: Server, model: str) -> None:
    answer = await write(zoo, model, BEGINNING, None)
    assert answer.status == 200, answer.body
    body = answer.json()
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["total_tokens"] == WINDOW


@pytest.mark.parametrize(("zoo", "model"), EACH, indirect=["zoo"])
async def test_prompts_that_begin_alike_run_side_by_side(zoo: Server, model: str) -> None:
    """Together they want more than a cache has, so some are parked; a second time all is known."""
    prompts = [BEGINNING + word for word in ("it", "his", "her", "they", "we", "you")]
    texts: set[str] = set()
    cached: list[int] = []
    for _ in range(2):
        answers = await asyncio.gather(*(write(zoo, model, prompt, 150) for prompt in prompts))
        for answer in answers:
            assert answer.status == 200, answer.body
            body = answer.json()
            assert body["usage"]["completion_tokens"] == 150
            texts.add(body["choices"][0]["text"])
            cached.append(body["usage"]["prompt_tokens_details"]["cached_tokens"])
    assert max(cached[len(prompts) :]) > 0
    assert len(texts) > 1, "each goes on after its own word"
    await wait_idle(zoo)


@pytest.mark.parametrize(
    ("zoo", "model"),
    [("unified", model) for model in [*SERVED, "bert"]],
    indirect=["zoo"],
)
async def test_it_embeds(zoo: Server, model: str) -> None:
    inputs = ["the llama looks out", "the llama looks out", "you can write two words " * 8]
    answer = await ask(zoo.port, "POST", "/v1/embeddings", {"model": model, "input": inputs})
    assert answer.status == 200, answer.body
    same, again, other = np.array([row["embedding"] for row in answer.json()["data"]])
    assert float(same @ again) > 0.9999
    assert float(same @ other) < 0.999


@pytest.mark.parametrize("zoo", ["unified"], indirect=True)
@pytest.mark.parametrize("path", [COMPLETIONS, "/v1/embeddings"])
async def test_what_cannot_be_served_is_refused(zoo: Server, path: str) -> None:
    wanted = {"model": "t5", "prompt": "the llama", "input": "the llama"}
    kept = "input" if path.endswith("embeddings") else "prompt"
    answer = await ask(zoo.port, "POST", path, {"model": "t5", kept: wanted[kept]})
    assert (answer.status, answer.error["code"]) == (400, "unsupported_operation")
    assert answer.error["param"] == "model"
    assert "an encoder and a decoder (t5)" in answer.error["message"]
    assert (await write(zoo, "llama", "the llama", 4)).status == 200


@pytest.mark.parametrize("zoo", CACHES, indirect=True)
async def test_each_model_shows_the_context_it_has(zoo: Server) -> None:
    rows = {row["id"]: row for row in zoo.get("/v1/models").json()["data"]}
    for name in SERVED:
        assert rows[name]["context_window"] == WINDOW
        assert "completion" in rows[name]["capabilities"]
    assert rows["t5"]["capabilities"] == []
