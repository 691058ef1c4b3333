"""What Ollama's requests come to."""

import json
import re
from typing import Any

import pytest

from app.api.ollama.refused import REFUSED
from app.api.ollama.schemas import (
    ChatBody,
    CopyBody,
    CreateBody,
    EmbedBody,
    EmbeddingsBody,
    GenerateBody,
    Options,
    ShowBody,
)
from app.core.requests import JsonObject, JsonSchema
from tests.dialects.ollama.test_answers import CHAT, GENERATE, chat
from tests.support.server import ROOT
from tests.unit.api.served import MODEL, Served, serve

SAMPLING_BEYOND = {name for name in Options.model_fields if name[:3] in {"dry", "xtc", "log"}}

MESSAGE: dict[str, Any] = {"role": "user", "content": "x"}
DUMP = "{% for m in messages %}{{ m | tojson }}{% endfor %}"


async def refuse(path: str, body: Any) -> str:
    response = await serve().post(path, body)
    assert response.status_code == 400, response.text
    return response.json()["error"]


def prompt_of(served: Served) -> str:
    return bytes(token for token in served.engine.specs[-1].prompt if token < 256).decode()


async def test_options_are_the_models_sampling() -> None:
    served = serve()
    options = {
        "temperature": 0.25,
        "top_k": 7.0,
        "top_p": 0.5,
        "min_p": 0.125,
        "seed": 11,
        "repeat_penalty": 1.5,
        "repeat_last_n": -1,
        "presence_penalty": 0.5,
        "mirostat": 2,
        "num_predict": 9,
        "stop": ["a", "b"],
    }
    response = await served.post(CHAT, chat(options=options))
    assert response.status_code == 200, response.text
    assert "x-corral-ignored" not in response.headers
    (spec,) = served.engine.specs
    sampling = spec.sampling
    assert (sampling.temperature, sampling.top_k, sampling.top_p) == (0.25, 7, 0.5)
    assert (sampling.min_p, sampling.seed, sampling.repeat_penalty) == (0.125, 11, 1.5)
    assert (sampling.repeat_last_n, sampling.presence_penalty) == (-1, 0.5)
    assert sampling.mirostat == 2
    assert (spec.max_tokens, spec.stop) == (9, ("a", "b"))


@pytest.mark.parametrize("limit", [-2, -1, 0])
async def test_no_limit(limit: int) -> None:
    served = serve()
    await served.post(CHAT, chat(options={"num_predict": limit}))
    assert served.engine.specs[0].max_tokens == 1024


async def test_what_has_no_effect_is_named() -> None:
    options = {"num_ctx": 4096, "num_gpu": 1, "tfs_z": 1.0, "num_keep": 4}
    response = await serve().post(CHAT, chat(options=options, shift=True, truncate=True))
    named = response.headers["x-corral-ignored"].split(", ")
    assert named == [*sorted(f"options.{name}" for name in options), "shift", "truncate"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"options": {"top_k": "many"}}, "options.top_k"),
        ({"options": {"temperature": 9}}, "options.temperature"),
        ({"options": 5}, "options"),
        ({"format": "yaml"}, "format"),
        ({"think": "hard"}, "think"),
        ({"keep_alive": "soon"}, "keep_alive"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [1]}]}, "messages[0].content"),
        (
            {"messages": [{"role": "user", "content": "x", "images": ["AA=="]}]},
            "messages[0].images",
        ),
        ({"messages": [MESSAGE] * 11}, "10 messages"),
        ({"tools": [{"function": {"name": ""}}]}, "tools[0].function.name"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"model": None}, "'model' is required"),
        ({"temperature": 1, "options": {"temperature": 0}}, "temperature"),
    ],
)
async def test_bad_fields_are_named(fields: dict[str, Any], words: str) -> None:
    assert words in await refuse(CHAT, chat(**fields))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"images": ["AA=="]}, "'images' is not supported"),
        ({"context": [1, 2]}, "/api/chat"),
        ({"template": "{{ .Prompt }}"}, "models.yaml"),
        ({"raw": True, "system": "Be brief."}, "'system'"),
        ({"prompt": 5}, "prompt"),
    ],
)
async def test_what_generate_refuses(fields: dict[str, Any], words: str) -> None:
    assert words in await refuse(GENERATE, {"model": MODEL, "prompt": "Hi", **fields})


async def test_what_is_empty_is_not_given() -> None:
    empty: dict[str, Any] = {
        "template": "",
        "context": [],
        "images": [],
        "system": "",
        "suffix": "",
        "format": "",
    }
    served = serve()
    body: dict[str, Any] = {"model": MODEL, "prompt": "Hi", "stream": False, **empty}
    response = await served.post(GENERATE, body)
    assert response.status_code == 200, response.text
    assert "x-corral-ignored" not in response.headers


async def test_generate_writes_a_chat_unless_it_is_raw() -> None:
    served = serve(template=DUMP)
    body = {"model": MODEL, "prompt": "Hi", "system": "Be brief.", "stream": False}
    await served.post(GENERATE, body)
    assert json.loads(prompt_of(served).split("}{")[0] + "}")["content"] == "Be brief."
    await served.post(GENERATE, {"model": MODEL, "prompt": "Hi", "raw": True, "stream": False})
    assert prompt_of(served) == "Hi"


async def test_a_suffix_fills_the_middle() -> None:
    served = serve()
    body = {"model": MODEL, "prompt": "def f():", "suffix": "return x", "stream": False}
    await served.post(GENERATE, body)
    assert {260, 261, 262} <= set(served.engine.specs[0].prompt)


@pytest.mark.parametrize(
    ("wanted", "constraint"),
    [
        ("json", JsonObject("format")),
        ({"type": "object"}, JsonSchema({"type": "object"}, "format")),
    ],
)
async def test_formats(wanted: object, constraint: object) -> None:
    served = serve()
    await served.post(CHAT, chat(format=wanted))
    assert served.pool.constraints is not None
    assert served.pool.constraints.compiled == [constraint]


async def test_flat_fields_of_rustllm() -> None:
    served = serve()
    await served.post(CHAT, chat(temperature=0.5, max_tokens=3))
    (spec,) = served.engine.specs
    assert (spec.sampling.temperature, spec.max_tokens) == (0.5, 3)


async def test_results_find_the_call_they_belong_to() -> None:
    """The Python client sends no ids; LangChain sends them."""

    def call(name: str, **more: Any) -> dict[str, Any]:
        return {"function": {"name": name, "arguments": {"x": 1}}, **more}

    messages = [
        {"role": "user", "content": "Go"},
        {"role": "assistant", "content": "", "tool_calls": [call("a"), call("b")]},
        {"role": "tool", "content": "of b", "tool_name": "b"},
        {"role": "tool", "content": "of a"},
        {"role": "assistant", "tool_calls": [call("a", id="call_x")]},
        {"role": "tool", "content": "of x", "tool_call_id": "call_x"},
    ]
    template = (
        "{% for m in messages %}{% for c in m.tool_calls or [] %}[{{ c.id }} {{ c.function.name }}]"
        "{% endfor %}{% if m.role == 'tool' %}({{ m.tool_call_id }} {{ m.content }}){% endif %}"
        "{% endfor %}"
    )
    served = serve(template=template)
    response = await served.post(CHAT, chat(messages=messages))
    assert response.status_code == 200, response.text
    told = prompt_of(served)
    assert "[call_0 a][call_1 b](call_1 of b)(call_0 of a)[call_x a](call_x of x)" in told


async def test_embeddings() -> None:
    served = serve()
    body = {"model": MODEL, "input": ["ab", "cde"], "truncate": False}
    answer = (await served.post("/api/embed", body)).json()
    assert [len(vector) for vector in answer["embeddings"]] == [4, 4]
    assert (answer["model"], answer["prompt_eval_count"]) == (MODEL, 7)
    assert answer["total_duration"] >= 1
    one = await served.post("/api/embeddings", {"model": MODEL, "prompt": "ab"})
    assert one.json() == {"embedding": answer["embeddings"][0]}


async def test_what_is_too_long_to_embed_loses_its_end_by_default() -> None:
    served = serve()
    response = await served.post("/api/embed", {"model": MODEL, "input": "x" * 100})
    assert response.json()["prompt_eval_count"] == 64
    words = await refuse("/api/embed", {"model": MODEL, "input": "x" * 100, "truncate": False})
    assert "maximum context length is 64" in words


async def test_nothing_to_embed_loads() -> None:
    served = serve()
    response = await served.post("/api/embed", {"model": MODEL, "input": [], "keep_alive": 60})
    assert response.json()["embeddings"] == []
    assert served.pool.keep_alive == 60
    older = await served.post("/api/embeddings", {"model": MODEL, "keep_alive": 0})
    assert older.json() == {"embedding": []}
    assert served.pool.unloads


def test_the_docs_name_every_field() -> None:
    section = (ROOT / "docs" / "compatibility.md").read_text().partition("## Ollama's API")[2]
    told = set(re.findall(r"`(\w+)`", section))
    bodies = (ChatBody, GenerateBody, EmbedBody, EmbeddingsBody, ShowBody, CopyBody, CreateBody)
    fields = {field.alias or name for body in bodies for name, field in body.model_fields.items()}
    # what the section above in the docs says of sampling holds for options too
    known = {name for name in Options.model_fields if name not in SAMPLING_BEYOND}
    assert not (fields | known) - told
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE)
    assert REFUSED.items() <= set(rows)
