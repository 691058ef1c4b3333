"""Models come and go: loaded on first use, evicted for another, and none harms the others."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.make_gguf import write_encoder, write_tiny_llama
from tests.conftest import Start
from tests.integration.load import COMPLETIONS, ENDLESS, open_running, wait_idle
from tests.support.server import MODEL, Server, serve
from tests.support.wire import Answer, ask

BUILTIN = MODEL
OTHERS = ("family/one", "family/two")


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Five models, one of them damaged, and room in memory for one."""
    folder = tmp_path_factory.mktemp("crowded")
    models = folder / "models"
    (models / "family").mkdir(parents=True)
    write_tiny_llama(models / "family" / "one.gguf", seed=1)
    whole = write_tiny_llama(models / "family" / "two.gguf", seed=2).read_bytes()
    write_encoder(models / "bert.gguf")
    (models / "damaged.gguf").write_bytes(whole[: len(whole) // 2])
    with serve(folder, LLM_MAX_LOADED_MODELS="1", LLM_PRELOAD="none") as running:
        yield running
    running.assert_no_alarm()


async def write(server: Server, model: str, **more: Any) -> Answer:
    asked = {"model": model, "prompt": "the llama", "max_tokens": 8, "temperature": 0, **more}
    return await ask(server.port, "POST", COMPLETIONS, asked)


def states(server: Server) -> dict[str, str]:
    return {
        sample.labels["model"]: sample.labels["state"]
        for sample in server.metrics().samples
        if sample.name == "corral_model_state" and sample.value == 1
    }


async def test_a_model_is_loaded_on_first_use(crowded: Server) -> None:
    assert crowded.get("/readyz").status_code == 200
    assert set(states(crowded).values()) <= {"cold", "failed"}
    assert (await write(crowded, BUILTIN)).status == 200
    assert states(crowded)[BUILTIN] == "hot"


async def test_models_take_turns(crowded: Server) -> None:
    """Callers of three models at once, where one fits: all are answered, each by its own model."""
    names = [BUILTIN, *OTHERS] * 4
    answers = await asyncio.gather(*(write(crowded, name) for name in names))
    texts: dict[str, set[str]] = {}
    for name, answer in zip(names, answers, strict=True):
        assert answer.status == 200, answer.body
        body = answer.json()
        assert body["model"] == name
        texts.setdefault(name, set()).add(body["choices"][0]["text"])
    assert len({text for said in texts.values() for text in said}) >= 3
    assert crowded.metrics().value("corral_evictions_total") > 0
    assert sum(state == "hot" for state in states(crowded).values()) == 1


async def test_a_running_stream_keeps_its_model(crowded: Server) -> None:
    events = await open_running(crowded, ENDLESS)
    other = asyncio.create_task(write(crowded, OTHERS[0]))
    await events.first()
    assert states(crowded)[BUILTIN] in {"hot", "draining"}
    assert not other.done()
    await events.close()
    assert (await other).status == 200
    await wait_idle(crowded)


async def test_embeddings_and_chat_take_turns(crowded: Server) -> None:
    asked = {"model": "bert", "input": "the llama"}
    for _ in range(2):
        assert (await ask(crowded.port, "POST", "/v1/embeddings", asked)).status == 200
        assert (await write(crowded, BUILTIN)).status == 200


async def test_a_damaged_file_fails_alone(crowded: Server) -> None:
    answer = await write(crowded, "damaged")
    assert answer.status == 500
    assert answer.error["code"] == "model_load_failed"
    assert answer.headers["x-should-retry"] == "false"
    assert (await write(crowded, BUILTIN)).status == 200
    ids = [model["id"] for model in crowded.get("/v1/models").json()["data"]]
    assert {BUILTIN, "bert", *OTHERS} <= set(ids)


async def test_leaving_while_the_model_waits_for_room(crowded: Server) -> None:
    events = await open_running(crowded, ENDLESS)
    leaver = asyncio.create_task(write(crowded, OTHERS[1]))
    stayer = asyncio.create_task(write(crowded, OTHERS[0]))
    await events.first()
    leaver.cancel()
    await events.close()
    assert (await stayer).status == 200
    await wait_idle(crowded)


def test_a_model_that_is_not_downloaded_is_listed_and_refused(tmp_path: Path, start: Start) -> None:
    manifest = tmp_path / "models.yaml"
    manifest.write_text("models: [{id: far, source: hf://maker/model/m.gguf}]")
    server = start(LLM_MANIFEST=str(manifest))
    listed = {model["id"]: model for model in server.get("/v1/models").json()["data"]}
    assert "corral pull" in listed["far"]["error"]
    answer = server.client.post(
        f"{server.base_url}/chat/completions",
        json={"model": "far", "messages": [{"role": "user", "content": "Hello"}]},
    )
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("model_not_downloaded", "model")
    assert error["message"].endswith("run: corral pull far")
