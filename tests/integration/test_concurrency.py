"""Many callers at once get what each would get alone."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import Start
from tests.support.server import MODEL, Server
from tests.support.wire import ask, open_stream

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
STREAMS = 32
TOKENS = 40
# The shape of a batch moves logits by up to 0.1, so each of two rivals may move that far.
TOLERANCE = 0.25
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


def ask_for(question: str) -> dict[str, Any]:
    """A chat as raw text, always the same number of tokens: markup is then text like any other,
    and no answer has an end, which log-probabilities do not show."""
    return {
        "model": MODEL,
        "prompt": f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n",
        "temperature": 0,
        "max_tokens": TOKENS,
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


async def stream_tokens(server: Server, question: str) -> list[Token]:
    """The tokens of one whole stream, its form checked."""
    events = await open_stream(server.port, COMPLETIONS, ask_for(question))
    chunks = await events.rest()
    await events.close()
    for piece in events.written:
        piece.decode()
    *spoken, last = chunks
    choices = [chunk["choices"][0] for chunk in spoken]
    assert [choice["finish_reason"] for choice in choices[:-1]] == [None] * (len(choices) - 1)
    assert choices[-1]["finish_reason"] == "length"
    assert last["usage"]["completion_tokens"] == TOKENS
    tokens = [t for c in choices if c["logprobs"] for t in read_tokens(c["logprobs"])]
    assert len(tokens) == TOKENS
    return tokens


def parts_fairly(alone: list[Token], together: list[Token]) -> bool:
    """Equal, or parted first where the run alone was all but undecided."""
    for one, other in zip(alone, together, strict=True):
        if one.text != other.text:
            return one.gap <= TOLERANCE
    return True


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
    parted = [
        question
        for question, (one, other) in zip(QUESTIONS, pairs, strict=True)
        if not parts_fairly(one, other)
    ]
    assert not parted


async def test_more_tokens_than_the_cache_holds(start: Start) -> None:
    """Twelve answers of 300 tokens through 1024 cells: all end well, and as they do alone."""
    server = start(LLM_CONTEXT_SIZE="1024", LLM_KV_SIZE="1024")
    asked = [
        {
            "model": MODEL,
            "messages": [{"role": "user", "content": question}],
            "max_tokens": 300,
            "temperature": 0,
            "ignore_eos": True,
        }
        for question in QUESTIONS[:12]
    ]
    answers = await asyncio.gather(*(ask(server.port, "POST", CHAT, body) for body in asked))
    for answer in answers:
        assert answer.status == 200, answer.body
        body = answer.json()
        assert body["choices"][0]["finish_reason"] == "length"
        assert body["usage"]["completion_tokens"] == 300
    metrics = server.metrics()
    assert metrics.value("corral_kv_tokens_capacity") == 1024
    assert metrics.value("corral_preemptions_total") > 0
    await asyncio.to_thread(server.wait_metric, "corral_requests_running", 0)
    await asyncio.to_thread(server.wait_metric, "corral_kv_tokens_used", 0)


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
