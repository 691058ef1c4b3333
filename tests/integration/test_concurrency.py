"""Many callers at once get what each would get alone."""

import asyncio
import json
import random
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import Start
from tests.integration.load import wait_idle
from tests.support.server import MODEL, Server
from tests.support.wire import ask, open_stream

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
STREAMS = 32
TOKENS = 40
# The shape of a batch moves logits by up to 0.15 (see tests/llama/memory_cases.py), so each of two
# rivals may move that far.
TOLERANCE = 0.3
END_TOKENS = {"<|im_end|>", "<|endoftext|>"}
TOPICS = (
    "the sky", "a llama", "France", "the number seven", "green paint", "a short poem", "the sea",
    "bread", "winter", "music", "the moon", "an old house", "a red car", "Italy", "the rain", "tea",
)  # fmt: skip
QUESTIONS = [f"{verb} {topic}." for verb in ("Tell me about", "Describe") for topic in TOPICS]
WALK = "Once upon a time there was a llama that liked to walk. "


@dataclass(frozen=True, slots=True)
class Token:
    """`gap` is how far apart the two likeliest tokens were among those that may be chosen."""

    text: str
    gap: float


def ask_for(question: str, tokens: int = TOKENS) -> dict[str, Any]:
    """A chat as raw text, always the same number of tokens: markup is then text like any other,
    and no answer has an end, which log-probabilities do not show."""
    return {
        "model": MODEL,
        "prompt": f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n",
        "temperature": 0,
        "max_tokens": tokens,
        "ignore_eos": True,
        "logprobs": 5,
        "stream_options": {"include_usage": True},
    }


def read_tokens(logprobs: dict[str, Any]) -> list[Token]:
    tokens: list[Token] = []
    for text, likeliest in zip(logprobs["tokens"], logprobs["top_logprobs"], strict=True):
        rivals = sorted(value for name, value in likeliest.items() if name not in END_TOKENS)
        tokens.append(Token(text, rivals[-1] - rivals[-2]))
    return tokens


async def stream_tokens(server: Server, question: str, length: int = TOKENS) -> list[Token]:
    """The tokens of one whole stream, its form checked."""
    events = await open_stream(server.port, COMPLETIONS, ask_for(question, length))
    chunks = await events.rest()
    await events.close()
    for piece in events.written:
        piece.decode()
    *spoken, last = chunks
    choices = [chunk["choices"][0] for chunk in spoken]
    assert [choice["finish_reason"] for choice in choices[:-1]] == [None] * (len(choices) - 1)
    assert choices[-1]["finish_reason"] == "length"
    assert last["usage"]["completion_tokens"] == length
    tokens = [t for c in choices if c["logprobs"] for t in read_tokens(c["logprobs"])]
    # Control tokens have no text; those at the very end have none to come with either.
    assert length - 2 <= len(tokens) <= length
    return tokens


def gap_where_parted(alone: list[Token], together: list[Token]) -> float:
    """How far ahead of its rival the first token was that differs; 0 where none does."""
    pairs = zip(alone, together, strict=False)
    return next((one.gap for one, other in pairs if one.text != other.text), 0.0)


async def test_streams_together_say_what_each_says_alone(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(set(QUESTIONS)) == STREAMS
    alone = [await stream_tokens(server, question) for question in QUESTIONS]
    together = await asyncio.gather(*(stream_tokens(server, question) for question in QUESTIONS))
    pairs = list(zip(alone, together, strict=True))
    equal = sum(
        [token.text for token in one] == [token.text for token in other] for one, other in pairs
    )
    with capsys.disabled():
        print(f"\n{equal} of {STREAMS} concurrent streams equal their solo run, token for token")
    gaps = {
        question: gap_where_parted(*pair) for question, pair in zip(QUESTIONS, pairs, strict=True)
    }
    assert max(gaps.values()) <= TOLERANCE, gaps


async def test_more_tokens_than_the_cache_holds(start: Start) -> None:
    """Twelve answers of 150 tokens through 1024 cells: all end well, and as each does alone."""
    server = start(LLM_CONTEXT_SIZE="1024", LLM_KV_SIZE="1024")
    questions, length = QUESTIONS[:12], 150
    alone = [await stream_tokens(server, question, length) for question in questions]
    assert server.metrics().value("corral_preemptions_total") == 0
    together = await asyncio.gather(*(stream_tokens(server, q, length) for q in questions))
    gaps = [gap_where_parted(*pair) for pair in zip(alone, together, strict=True)]
    assert max(gaps) <= TOLERANCE, gaps
    metrics = server.metrics()
    assert metrics.value("corral_kv_tokens_capacity") == 1024
    assert metrics.value("corral_preemptions_total") > 0
    await wait_idle(server)


async def test_long_prompts_beside_short_ones(server: Server) -> None:
    texts = [
        WALK * 60 + f"It had {number} friends." if number % 3 == 0 else "Hi" for number in range(9)
    ]
    answers = await asyncio.gather(
        *(
            ask(
                server.port,
                "POST",
                CHAT,
                {
                    "model": MODEL,
                    "messages": [{"role": "user", "content": text}],
                    "max_tokens": 12,
                },
            )
            for text in texts
        )
    )
    assert [answer.status for answer in answers] == [200] * 9


async def test_two_models_at_once(server: Server) -> None:
    asked = [
        {"model": model, "prompt": "the llama", "max_tokens": 20, "temperature": 0}
        for model in (MODEL, "lab/random:tiny")
    ]
    alone = [await ask(server.port, "POST", COMPLETIONS, body) for body in asked]
    both = await asyncio.gather(*(ask(server.port, "POST", COMPLETIONS, body) for body in asked))
    for one, other in zip(alone, both, strict=True):
        assert one.json()["choices"] == other.json()["choices"]


async def play(server: Server, rng: random.Random) -> str:
    """One caller of a mixed crowd; returns what kind it was."""
    kind = rng.choice(["chat", "stream", "leave", "answers", "json", "vectors", "error"])
    question = {"role": "user", "content": rng.choice(QUESTIONS) * rng.randint(1, 20)}
    asked: dict[str, Any] = {
        "model": rng.choice([MODEL, "random"]),
        "messages": [question],
        "max_tokens": rng.randint(1, 60),
        "temperature": rng.choice([0, 0.8, 1.5]),
    }
    await asyncio.sleep(rng.uniform(0, 1))
    if kind in {"stream", "leave"}:
        events = await open_stream(server.port, CHAT, {**asked, "n": rng.randint(1, 3)})
        await events.first()
        if kind == "stream":
            assert (await events.rest())[-1]["choices"][0]["finish_reason"]
        await events.close()
    elif kind == "vectors":
        body = {"model": rng.choice([MODEL, "bert"]), "input": [question["content"][:200]] * 3}
        assert (await ask(server.port, "POST", "/v1/embeddings", body)).status == 200
    elif kind == "error":
        refused = await ask(server.port, "POST", CHAT, {**asked, "messages": []})
        assert refused.error["param"] == "messages"
    else:
        more = {"answers": {"n": 4}, "json": {"response_format": FORMAT, "max_tokens": 60}}
        answer = await ask(server.port, "POST", CHAT, {**asked, **more.get(kind, {})})
        assert answer.status == 200, answer.body
        if kind == "json":
            content = answer.json()["choices"][0]["message"]["content"]
            assert json.loads(content)["colour"] in {"red", "blue"}
    return kind


FORMAT = {
    "type": "json_schema",
    "json_schema": {
        "name": "paint",
        "schema": {
            "type": "object",
            "properties": {"colour": {"enum": ["red", "blue"]}},
            "required": ["colour"],
            "additionalProperties": False,
        },
    },
}


async def test_a_mixed_crowd(server: Server) -> None:
    rng = random.Random(7)
    callers = [play(server, random.Random(rng.random())) for _ in range(80)]
    kinds = await asyncio.gather(*callers)
    assert len(set(kinds)) == 7
    await wait_idle(server)
    server.assert_no_alarm()
