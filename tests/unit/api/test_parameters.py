"""Every parameter: good values reach the engine, bad ones are refused by name."""

import re
from pathlib import Path
from typing import Any

import pytest

from app.api.openai.parameters import NO_EFFECT, REFUSED
from app.api.openai.schemas.chat import ChatBody
from app.api.openai.schemas.completions import CompletionBody
from app.api.openai.schemas.embeddings import EmbeddingBody
from app.core.messages import Message, ToolCall
from app.core.requests import ChatPrompt, GenerationRequest, JsonObject, JsonSchema
from app.engine.messages import SequenceSpec
from tests.unit.api.served import (
    CHAT,
    COMPLETIONS,
    MODEL,
    TOOL,
    Served,
    chat,
    completion,
    refuse,
    serve,
)
from tests.unit.services.scripted import ScriptedConstraints


async def accept(served: Served, path: str, body: dict[str, Any]) -> SequenceSpec:
    response = await served.post(path, body)
    assert response.status_code == 200, response.text
    assert "x-corral-ignored" not in response.headers
    return served.engine.specs[0]


SAMPLING = [
    ("temperature", 0, 0.0),
    ("temperature", 5, 5.0),
    ("top_p", 0, 0.0),
    ("top_p", 0.5, 0.5),
    ("top_p", 1, 1.0),
    ("top_k", 7, 7),
    ("top_k", -1, 0),
    ("min_p", 0, 0.0),
    ("typical_p", 0.9, 0.9),
    ("seed", 5, 5),
    ("seed", -1, None),
    ("presence_penalty", -2, -2.0),
    ("frequency_penalty", 2, 2.0),
    ("repeat_penalty", 1.1, 1.1),
    ("repeat_last_n", -1, -1),
    ("repeat_last_n", 2**31 - 1, 2**31 - 1),
    ("dry_multiplier", 0.8, 0.8),
    ("dry_base", 2, 2.0),
    ("dry_allowed_length", 3, 3),
    ("dry_penalty_last_n", 10, 10),
    ("dry_penalty_last_n", 2**31 - 1, 2**31 - 1),
    ("dry_sequence_breakers", ["\n", "x"], ("\n", "x")),
    ("xtc_probability", 0.5, 0.5),
    ("xtc_threshold", 0.2, 0.2),
    ("mirostat", 2, 2),
    ("mirostat_tau", 4, 4.0),
    ("mirostat_eta", 0.2, 0.2),
    ("logit_bias", {"5": -100, "6": 1.5}, ((5, -100.0), (6, 1.5))),
]


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
@pytest.mark.parametrize(("name", "value", "expected"), SAMPLING)
async def test_sampling_parameters(path: str, name: str, value: object, expected: object) -> None:
    body = chat() if path == CHAT else completion()
    spec = await accept(serve(), path, body | {name: value})
    assert getattr(spec.sampling, name) == expected


BAD_NUMBERS: list[Any] = ["5", True, [], {}]
BAD: dict[str, list[Any]] = {
    "temperature": [*BAD_NUMBERS, -0.1, 5.1],
    "top_p": [*BAD_NUMBERS, -0.1, 1.1, -1],
    "top_k": [*BAD_NUMBERS, -2, 1.5, 2**31],
    "min_p": [*BAD_NUMBERS, -0.1, 1.1],
    "typical_p": [*BAD_NUMBERS, 0, 1.1],
    "seed": [*BAD_NUMBERS, 1.5, 2**63, -(2**63) - 1],
    "presence_penalty": [*BAD_NUMBERS, -2.1, 2.1],
    "frequency_penalty": [*BAD_NUMBERS, -2.1, 2.1],
    "repeat_penalty": [*BAD_NUMBERS, 0, -1, 11],
    "repeat_last_n": [*BAD_NUMBERS, -2, 2**31],
    "dry_multiplier": [*BAD_NUMBERS, -1],
    "dry_base": [*BAD_NUMBERS, 0.5],
    "dry_allowed_length": [*BAD_NUMBERS, 0],
    "dry_penalty_last_n": [*BAD_NUMBERS, -2, 2**31],
    "dry_sequence_breakers": ["x", 5, [5], {}, ["x"] * 17, ["x" * 65]],
    "xtc_probability": [*BAD_NUMBERS, -1, 2],
    "xtc_threshold": [*BAD_NUMBERS, -1, 2],
    "mirostat": [*BAD_NUMBERS, 3, -1],
    "mirostat_tau": [*BAD_NUMBERS, -1],
    "mirostat_eta": [*BAD_NUMBERS, -1],
    "logit_bias": [5, [], {"x": 1}, {"5": 101}, {"5": "1"}, {"-1": 1}, {"5": None}, {"999": 1}],
    "max_tokens": [*BAD_NUMBERS, 1.5, -2],
    "min_tokens": [*BAD_NUMBERS, -1, 5000],
    "stop": [5, True, {}, [5], [""], "", ["x"] * 257],
    "stop_token_ids": [5, ["a"], [999]],
    "ignore_eos": [1, "true"],
    "n": [*BAD_NUMBERS, 0, 9, 1.5],
    "stream": [1, "true", {}],
    "stream_options": [True, "x", []],
    "user": [5, {}],
    "priority": [*BAD_NUMBERS, -1, 1001, 1.5, "urgent"],
    "service_tier": [5, True, "gold", ""],
    "speculation": [5, True, False, "fast", "model", "mtp"],
    "lora": [
        *(5, "sql", {}, [5], [{}], [{"id": 0}], [{"id": "x"}], [{"id": True}], [{"id": [0]}]),
        *([{"id": 0, "scale": value}] for value in ("1", 101, -101, True)),
        [{"id": 0}] * 65,
    ],
    "model": [5, "", {}, "x" * 600],
}
BAD_CHAT: dict[str, list[Any]] = {
    "max_tokens": [0],
    "max_completion_tokens": [*BAD_NUMBERS, 0, -2],
    "logprobs": [1, "true"],
    "top_logprobs": [*BAD_NUMBERS, -1, 21],
    "metadata": [
        5,
        [],
        {"a": 5},
        {"x" * 65: "a"},
        {"a": "x" * 513},
        dict.fromkeys("abcdefghijklmnopq", "x"),
    ],
    "store": ["yes", 1],
    "safety_identifier": [5],
    "prediction": [
        *(5, "x", [], {}, {"type": "content"}, {"content": "x"}, {"type": "text", "content": "x"}),
        *({"type": "content", "content": 5}, {"type": "content", "content": [{"type": "image"}]}),
        {"type": "content", "content": [{"type": "text", "text": "x"}] * 1025},
    ],
    "parallel_tool_calls": ["x"],
    "response_format": ["json", {}, {"type": "xml"}, {"type": "json_schema"}],
    "tools": [{}, [5], [{"type": "web"}], [{"type": "function"}], [TOOL | {"function": {}}]],
    "tool_choice": [5, "required", "any", {"type": "function", "function": {"name": "f"}}, {}],
    "chat_template_kwargs": [5, [], {"messages": []}],
    "enable_thinking": ["yes", 1],
    "reasoning_effort": [5, "huge"],
    "modalities": ["text", ["audio"], ["text", "image"]],
    "messages": ["x", [], [5], {}, [{"role": "user", "content": "x"}] * 11],
}
BAD_COMPLETION: dict[str, list[Any]] = {
    "prompt": [5, {}, [], ["", 5], [[]], [1.5], [True], [[5], "x"], [-1], [999]],
    "echo": [1, "x"],
    "best_of": [*BAD_NUMBERS, 0, 9],
    "logprobs": [*BAD_NUMBERS, 21, -1],
    "suffix": [5, []],
    "max_tokens": [0],
}


def flatten(table: dict[str, list[Any]]) -> list[tuple[str, Any]]:
    return [(name, value) for name, values in table.items() for value in values]


@pytest.mark.parametrize(("name", "value"), flatten(BAD) + flatten(BAD_CHAT), ids=repr)
async def test_bad_chat_values(name: str, value: Any) -> None:
    error = await refuse(CHAT, chat(**{"logprobs": True, name: value}))
    assert error["param"].partition("[")[0].partition(".")[0] == name
    assert name in error["message"]


@pytest.mark.parametrize(("name", "value"), flatten(BAD) + flatten(BAD_COMPLETION), ids=repr)
async def test_bad_completion_values(name: str, value: Any) -> None:
    error = await refuse(COMPLETIONS, completion(**{name: value}))
    assert error["param"].partition("[")[0].partition(".")[0] == name


@pytest.mark.parametrize("schema", [ChatBody, CompletionBody, EmbeddingBody])
async def test_null_is_absent(schema: Any) -> None:
    path = {ChatBody: CHAT, CompletionBody: COMPLETIONS, EmbeddingBody: "/v1/embeddings"}[schema]
    needed = {ChatBody: chat(), CompletionBody: completion()}
    body = needed.get(schema, {"model": MODEL, "input": "x"})
    nulls = dict.fromkeys([*schema.model_fields, *REFUSED], None)
    response = await serve().post(path, nulls | body)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    ("body", "param"), [({"messages": []}, "model"), ({"model": "m"}, "messages")]
)
async def test_required_fields(body: dict[str, Any], param: str) -> None:
    error = await refuse(CHAT, body)
    assert error["message"] == f"'{param}' is required."
    assert error["param"] == param


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, 1024),
        ({"max_tokens": 5}, 5),
        ({"max_tokens": -1}, 1024),
        ({"max_completion_tokens": 6}, 6),
        ({"max_completion_tokens": -1}, 1024),
        ({"max_tokens": 5, "max_completion_tokens": -1}, 1024),
        ({"max_tokens": 5, "max_completion_tokens": 6}, 6),
    ],
)
async def test_token_limits(fields: dict[str, Any], expected: int) -> None:
    assert (await accept(serve(), CHAT, chat(**fields))).max_tokens == expected


async def test_stops_and_the_like() -> None:
    many = [str(index) for index in range(16)]
    spec = await accept(serve(), CHAT, chat(stop=many, ignore_eos=True, min_tokens=2))
    assert (spec.stop, spec.ignore_eos, spec.min_tokens) == (tuple(many), True, 2)
    one = await accept(serve(), COMPLETIONS, completion(stop="x", stop_token_ids=[5]))
    assert (one.stop, one.stop_tokens) == (("x",), frozenset({5}))


async def test_logprobs() -> None:
    assert (await accept(serve(), CHAT, chat())).logprobs is None
    assert (await accept(serve(), CHAT, chat(logprobs=False, top_logprobs=0))).logprobs is None
    assert (await accept(serve(), CHAT, chat(logprobs=True))).logprobs == 0
    assert (await accept(serve(), CHAT, chat(logprobs=True, top_logprobs=20))).logprobs == 20
    assert (await accept(serve(), COMPLETIONS, completion(logprobs=5))).logprobs == 5
    assert "top_logprobs" in (await refuse(CHAT, chat(top_logprobs=2)))["message"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"type": "text"}, []),
        ({"type": "json_object"}, [JsonObject("response_format")]),
        (
            {"type": "json_object", "schema": {"type": "object"}},
            [JsonSchema({"type": "object"}, "response_format.schema")],
        ),
        (
            {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array"}}},
            [JsonSchema({"type": "array"}, "response_format.json_schema.schema")],
        ),
        (
            {"type": "json_schema", "json_schema": {"name": "x", "strict": None}},
            [JsonObject("response_format")],
        ),
    ],
)
async def test_response_formats(wanted: dict[str, Any], expected: list[Any]) -> None:
    constraints = ScriptedConstraints()
    await accept(serve(constraints=constraints), CHAT, chat(response_format=wanted))
    assert constraints.compiled == expected


class Spy(Served):
    """Remembers the request that reached the services."""

    def __post_init__(self) -> None:
        super().__post_init__()
        start = self.generation.start
        self.requests: list[GenerationRequest] = []

        async def remember(request: GenerationRequest) -> Any:
            self.requests.append(request)
            return await start(request)

        self.generation.start = remember

    async def prompt(self, **fields: Any) -> ChatPrompt:
        response = await self.post(CHAT, chat(**fields))
        assert response.status_code == 200, response.text
        prompt = self.requests[-1].prompts[0]
        assert isinstance(prompt, ChatPrompt)
        return prompt


async def test_point_18_messages() -> None:
    prompt = await Spy(serve().pool).prompt(
        messages=[
            {"role": "developer", "content": "d", "unknown": 1},
            {
                "role": "user",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            },
            {
                "role": "assistant",
                "content": None,
                "reasoning": "hm",
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f"}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "r"}]},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}], "name": "n"},
            {"role": "assistant", "content": "", "reasoning_content": "so"},
        ]
    )
    assert prompt.messages == (
        Message("developer", "d"),
        Message("user", "a\nb", parts=("a", "b")),
        Message("assistant", None, reasoning="hm", tool_calls=(ToolCall("c1", "f", "{}"),)),
        Message("tool", "r", tool_call_id="c1"),
        Message("assistant", "no", name="n"),
        Message("assistant", "", reasoning="so"),
    )


@pytest.mark.parametrize(
    ("message", "param", "words"),
    [
        ({"role": "user"}, "messages[0]", "needs 'content'"),
        ({"role": "user", "content": None}, "messages[0]", "needs 'content'"),
        ({"role": "assistant"}, "messages[0]", "needs 'content'"),
        ({"role": "tool", "content": "x"}, "messages[0]", "tool_call_id"),
        ({"role": "robot", "content": "x"}, "messages[0].role", "system"),
        ({"role": "user", "content": 5}, "messages[0].content", "an integer"),
        ({"role": "user", "content": [5]}, "messages[0].content[0]", "an integer"),
        (
            {"role": "user", "content": [{"type": "image_url"}]},
            "messages[0].content[0]",
            "image_url",
        ),
        ({"role": "user", "content": [{"type": "input_audio"}]}, "messages[0].content[0]", "audio"),
        ({"role": "user", "content": [{"type": "text"}]}, "messages[0].content[0]", "needs"),
        ({"role": "user", "content": "x", "tool_calls": [{"id": "1"}]}, "messages[0]", "function"),
        ({"content": "x"}, "messages[0].role", "required"),
        ({"role": "user", "content": "x", "name": 5}, "messages[0].name", "an integer"),
    ],
)
async def test_bad_messages(message: dict[str, Any], param: str, words: str) -> None:
    error = await refuse(CHAT, chat(messages=[message]))
    assert error["param"].startswith(param)
    assert words in error["message"] + error["param"]


async def test_tools() -> None:
    spy = Spy(serve().pool)
    full: dict[str, Any] = TOOL | {
        "function": {"name": "f", "description": "d", "parameters": {}, "strict": True}
    }
    prompt = await spy.prompt(tools=[TOOL, full], tool_choice="auto")
    assert [tool.name for tool in prompt.tools] == ["f", "f"]
    assert (await spy.prompt(tools=[TOOL], tool_choice="none")).tools == ()


async def test_thinking_switches() -> None:
    spy = Spy(serve().pool)
    assert (await spy.prompt(enable_thinking=True)).thinking is True
    assert (await spy.prompt(reasoning_effort="none")).effort == "none"
    given = {"enable_thinking": False, "x": 1}
    prompt = await spy.prompt(reasoning_effort="low", chat_template_kwargs=given)
    assert (prompt.thinking, prompt.effort, prompt.template_kwargs) == (None, "low", given)


async def test_prefill_reaches_the_prompt() -> None:
    messages = [*chat()["messages"], {"role": "assistant", "content": "Well"}]
    spec = await accept(serve(), CHAT, chat(messages=messages))
    assert bytes(token for token in spec.prompt if token < 256).endswith(b"assistant\nWell")


async def test_what_cannot_go_together() -> None:
    few = await refuse(COMPLETIONS, completion(n=2, best_of=1))
    assert (few["param"], few["message"]) == ("best_of", "'best_of' must be at least 'n'.")
    streamed = completion(best_of=2, stream=True)
    assert "streamed" in (await refuse(COMPLETIONS, streamed))["message"]
    infill = completion(suffix="x", echo=True)
    assert "suffix" in (await refuse(COMPLETIONS, infill))["message"]
    assert "text" in (await refuse(COMPLETIONS, completion(prompt=[1], suffix="x")))["message"]


async def test_suffix() -> None:
    spec = await accept(serve(), COMPLETIONS, completion(suffix="xyz"))
    assert spec.prompt == (256, 260, *b"abc", 261, *b"xyz", 262)


@pytest.mark.parametrize("name", REFUSED)
async def test_refused_parameters(name: str) -> None:
    error = await refuse(CHAT, chat(**{name: "x"}))
    assert (error["param"], error["code"]) == (name, "unsupported_parameter")
    assert REFUSED[name] in error["message"]


async def test_parameters_without_effect() -> None:
    fields: dict[str, Any] = dict.fromkeys(NO_EFFECT, "x")
    fields |= {"metadata": {"a": "b"}, "store": False, "parallel_tool_calls": True}
    await accept(serve(), CHAT, chat(**fields, modalities=["text"]))


async def test_ignored_fields_of_nested_objects_are_named() -> None:
    part = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
    body = chat(
        messages=[{"role": "user", "content": [part, part], "weight": None}],
        stream_options={"include_usage": True, "include_obfuscation": False},
        tools=[TOOL | {"function": {"name": "f", "speed": 1}}],
        tool_choice="none",
    )
    response = await serve().post(CHAT, body)
    assert response.status_code == 200, response.text
    assert response.headers["x-corral-ignored"].split(", ") == [
        "messages.content.cache_control",
        "stream_options.include_obfuscation",
        "tools.function.speed",
    ]


async def test_openai_answers_can_be_sent_back() -> None:
    spy = Spy(serve().pool)
    rest: dict[str, Any] = {
        "audio": None,
        "annotations": [],
        "function_call": None,
        "tool_calls": None,
    }
    prompt = await spy.prompt(
        messages=[
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": None, "refusal": "no", **rest},
            {"role": "assistant", "content": "b", "refusal": None, **rest},
            {"role": "user", "content": "c"},
        ]
    )
    assert [message.content for message in prompt.messages] == ["a", "no", "b", "c"]
    assert spy.metrics.calls[-1] == ("http", CHAT, "POST", 200)


async def test_unknown_fields_are_named() -> None:
    response = await serve().post(CHAT, chat(zebra=1, options={"num_ctx": 5}, **{"é\n": 1}))
    assert response.status_code == 200
    assert response.headers["x-corral-ignored"] == "options, zebra, ??"


def test_every_parameter_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "compatibility.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+)`", page))
    fields = set[str]()
    for schema in (ChatBody, CompletionBody, EmbeddingBody):
        fields |= {field.alias or name for name, field in schema.model_fields.items()}
    assert fields | set(REFUSED) <= named
    for name, reason in {**NO_EFFECT, **REFUSED}.items():
        assert f"| `{name}` | {reason} |" in page
