"""Every sampling parameter on real models: what it does, and that no mixture breaks the engine."""

import json
import random
from typing import Any

import pytest

from tests.integration.load import CHAT, COMPLETIONS, wait_idle
from tests.support.server import MODEL, Server
from tests.support.wire import Answer, Connection, ask, open_stream

STORY = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 24}
RANDOM = {"model": "random", "prompt": "the llama", "max_tokens": 24}
CALLS = 250

# Values at the edges of what is allowed.
EXTREMES: dict[str, list[Any]] = {
    "temperature": [0, 1e-6, 0.8, 2, 5],
    "top_p": [1e-6, 0.5, 1],
    "top_k": [-1, 0, 1, 2, 10**6],
    "min_p": [0, 0.5, 1],
    "typical_p": [1e-6, 0.5, 1],
    "seed": [-1, 0, 1, 2**32, 2**63 - 1, -(2**63)],
    "presence_penalty": [-2, 0, 2],
    "frequency_penalty": [-2, 0, 2],
    "repeat_penalty": [0.01, 1, 1.3, 10],
    "repeat_last_n": [-1, 0, 1, 10**6],
    "dry_multiplier": [0, 0.8, 100],
    "dry_base": [1, 1.75, 100],
    "dry_allowed_length": [1, 2, 100],
    "dry_penalty_last_n": [-1, 0, 1, 10**6],
    "dry_sequence_breakers": [[], ["\n"], ["the", "\u00fc", "x" * 500, ""]],
    "xtc_probability": [0, 0.5, 1],
    "xtc_threshold": [0, 0.1, 1],
    "mirostat": [0, 1, 2],
    "mirostat_tau": [0, 5, 100],
    "mirostat_eta": [0, 0.1, 1],
    "logit_bias": [{}, {"5": -100}, {"5": 100, "6": 100}, {"0": 0.5}],
    "max_tokens": [1, 2, 16],
    "min_tokens": [0, 1],
    "stop": ["e", ["\u00fc", "the"], [f"stop {number}" for number in range(16)]],
    "stop_token_ids": [[], [5, 6]],
    "ignore_eos": [True, False],
    "n": [1, 2, 5],
}
PROMPTS: list[Any] = [
    "",
    " ",
    "the",
    "\U0001f999 \u00fc",
    [0],
    [5, 5, 5],
    ["a", "b"],
    [[1], [2, 3]],
]


async def write(server: Server, **asked: Any) -> dict[str, Any]:
    answer = await ask(server.port, "POST", COMPLETIONS, asked)
    assert answer.status == 200, answer.body
    return answer.json()


async def text_of(server: Server, **asked: Any) -> str:
    return (await write(server, **asked))["choices"][0]["text"]


async def test_a_seed_repeats_and_another_does_not(server: Server) -> None:
    wild = {**STORY, "temperature": 2.0, "top_k": 0, "min_p": 0}
    first = await text_of(server, **wild, seed=1)
    assert await text_of(server, **wild, seed=1) == first
    assert await text_of(server, **wild, seed=2) != first
    assert await text_of(server, **wild) != await text_of(server, **wild)


async def test_narrow_choices_are_greedy(server: Server) -> None:
    greedy = await text_of(server, **STORY, temperature=0)
    for narrow in ({"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}, {"temperature": 1e-6}):
        assert await text_of(server, **{**STORY, "temperature": 1.0, "seed": 1, **narrow}) == greedy


async def test_bias_forces_and_forbids(server: Server) -> None:
    forced = await write(server, **RANDOM, temperature=0, logit_bias={"40": 100}, logprobs=0)
    tokens = forced["choices"][0]["logprobs"]["tokens"]
    assert len(set(tokens)) == 1
    plain = await write(server, **RANDOM, temperature=0, logprobs=0)
    first = plain["choices"][0]["logprobs"]["tokens"][0]
    forbidden = await write(server, **RANDOM, temperature=0, logit_bias={"40": -100}, logprobs=0)
    assert tokens[0] not in forbidden["choices"][0]["logprobs"]["tokens"]
    assert first


async def test_lengths(server: Server) -> None:
    chat = {"model": MODEL, "messages": [{"role": "user", "content": "Hello!"}], "temperature": 0}
    short = (await ask(server.port, "POST", CHAT, chat)).json()
    assert short["choices"][0]["finish_reason"] == "stop"
    natural = short["usage"]["completion_tokens"]
    longer = {**chat, "min_tokens": natural + 20, "max_tokens": natural + 40}
    made = (await ask(server.port, "POST", CHAT, longer)).json()["usage"]["completion_tokens"]
    assert natural + 20 <= made <= natural + 40
    endless = {**chat, "ignore_eos": True, "max_tokens": natural + 30}
    body = (await ask(server.port, "POST", CHAT, endless)).json()
    assert body["usage"]["completion_tokens"] == natural + 30
    assert body["choices"][0]["finish_reason"] == "length"


async def test_penalties_end_repetition(server: Server) -> None:
    asked = {**RANDOM, "max_tokens": 60, "temperature": 0, "ignore_eos": True, "logprobs": 0}

    async def variety(**more: Any) -> int:
        body = await write(server, **asked, **more)
        return len(set(body["choices"][0]["logprobs"]["tokens"]))

    plain = await variety()
    for penalty in (
        {"repeat_penalty": 5.0, "repeat_last_n": -1},
        {"frequency_penalty": 2.0, "presence_penalty": 2.0, "repeat_last_n": -1},
    ):
        assert await variety(**penalty) > plain


async def test_a_stop_token_ends_the_text(server: Server) -> None:
    whole = await write(server, **STORY, temperature=0, logprobs=0)
    spoken = whole["choices"][0]["text"]
    word = spoken.split()[2]
    cut = await write(server, **STORY, temperature=0, stop=[word])
    assert cut["choices"][0]["finish_reason"] == "stop"
    assert cut["choices"][0]["text"] == spoken[: spoken.index(word)]


async def test_fill_in_the_middle_needs_a_model_that_can(server: Server) -> None:
    answer = await ask(server.port, "POST", COMPLETIONS, {**RANDOM, "suffix": "sleeps."})
    assert answer.status == 400
    assert answer.error["code"] == "unsupported_operation"
    assert answer.error["param"] == "suffix"


def draw(rng: random.Random) -> tuple[str, dict[str, Any]]:
    """A route and a request of allowed values, many of them odd."""
    names = rng.sample(sorted(EXTREMES), rng.randint(0, 8))
    asked: dict[str, Any] = {"model": rng.choice([MODEL, "random"]), "max_tokens": 8}
    asked |= {name: rng.choice(EXTREMES[name]) for name in names}
    if rng.random() < 0.5:
        asked |= {"prompt": rng.choice(PROMPTS), "echo": rng.random() < 0.2}
        if rng.random() < 0.4:
            asked["logprobs"] = rng.choice([0, 1, 20])
        return COMPLETIONS, asked
    asked["messages"] = [{"role": "user", "content": rng.choice(["Hi", "", "the \U0001f999"])}]
    if rng.random() < 0.4:
        asked |= {"logprobs": True, "top_logprobs": rng.choice([0, 1, 20])}
    if rng.random() < 0.2:
        asked["response_format"] = {"type": "json_object"}
    return CHAT, asked


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def check(answer: Answer, asked: dict[str, Any]) -> None:
    if answer.status == 400:
        assert answer.error["code"] == "invalid_value", (answer.body, asked)
        return
    assert answer.status == 200, (answer.body, asked)
    body = json.loads(answer.body, parse_constant=refuse_constant)
    assert all(choice["finish_reason"] in {"stop", "length"} for choice in body["choices"])


@pytest.mark.parametrize("seed", range(3))
async def test_no_mixture_breaks_the_engine(server: Server, seed: int) -> None:
    rng = random.Random(seed)
    refused = 0
    async with await Connection.open(server.port) as connection:
        for _ in range(CALLS // 3):
            target, asked = draw(rng)
            body = json.dumps(asked).encode()
            answer = await connection.ask(
                "POST", target, body, {"content-type": "application/json"}
            )
            check(answer, asked)
            refused += answer.status == 400
    assert refused < CALLS / 10
    await wait_idle(server)
    server.assert_no_alarm()


@pytest.mark.parametrize("speculation", [None, "off", "ngram"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_prediction_never_changes_the_answer(
    server: Server, speculation: str | None, stream: bool
) -> None:
    """Whether it is right, half right or wrong."""
    asked = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "What color is the sky?"}],
        "max_tokens": 32,
        "temperature": 0,
    }
    expected = (await ask(server.port, "POST", CHAT, asked)).json()
    text = expected["choices"][0]["message"]["content"]
    assert text
    options = {"speculation": speculation, "stream_options": {"include_usage": True}}
    for guess in (text, text[: len(text) // 2] + " or not", "Something else.", text * 500, ""):
        prediction = {"type": "content", "content": guess}
        body = {**asked, **options, "prediction": prediction}
        said, usage = await chat_once(server, body, stream=stream)
        assert said == text
        assert usage["completion_tokens"] == expected["usage"]["completion_tokens"]
        details = usage["completion_tokens_details"]
        assert 0 <= details["accepted_prediction_tokens"] <= usage["completion_tokens"]
        assert details["rejected_prediction_tokens"] >= 0
        if speculation == "off":
            assert details["accepted_prediction_tokens"] == 0


async def test_a_method_the_model_does_not_have(server: Server) -> None:
    for method in ("model", "mtp"):
        answer = await ask(server.port, "POST", COMPLETIONS, {**STORY, "speculation": method})
        assert answer.status == 400
        assert (answer.error["param"], answer.error["code"]) == (
            "speculation",
            "unsupported_operation",
        )
        assert f"'{method}'" in answer.error["message"]


async def chat_once(
    server: Server, body: dict[str, Any], *, stream: bool
) -> tuple[str, dict[str, Any]]:
    """The text and the usage of a chat."""
    if not stream:
        answer = await ask(server.port, "POST", CHAT, {**body, "stream": False})
        assert answer.status == 200, answer.body
        whole = answer.json()
        return whole["choices"][0]["message"]["content"], whole["usage"]
    events = await open_stream(server.port, CHAT, body)
    *chunks, last = await events.rest()
    await events.close()
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    return "".join(delta.get("content", "") for delta in deltas), last["usage"]
