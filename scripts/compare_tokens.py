"""Compare Corral's greedy answers, token for token, with those of llama-server.

    python -m scripts.compare_tokens --llama-server PATH [--model-file FILE.gguf] [--mode NAME]...

llama-server answers 50 prompts one at a time; Corral answers the same ones alone, in batches, with
prefixes that are shared, parked, restored or guessed ahead. Both get token ids. They may part only
where the two best tokens are almost equally likely, which Corral is asked for: such steps are
counted, any other difference ends the command with exit code 1.
"""

import math
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import click
import httpx

from app.catalog.entries import BUILTIN_PATH
from scripts.bench.servers import Server, corral, llama_flags, llama_server, running

TOKENS = 64
TIE = 0.25
"""Largest difference of the two best tokens' log-probabilities that may go either way."""
WAIT_S = 120.0
_LONGEST_OVERLAP = 4

SYSTEM = (
    "You are a helpful assistant who looks after a herd of llamas in the mountains. You answer in "
    "short and friendly sentences, you never make up what you do not know, and you like to tell "
    "people about the weather, the grass, the fences and the way to the next village. "
)
SUBJECTS = ("a llama", "the weather", "a small house", "the sea", "my best friend")
QUESTIONS = (
    "Tell me something about {}.",
    "What do you know about {}?",
    "Write a short story about {}.",
    "Why do people like {}?",
    "List three things that are like {}.",
    "How would you describe {} to a child?",
    "Is {} old or young?",
    "Write a poem about {}.",
    "What is the colour of {}?",
    "Say hello to {}.",
)


@dataclass(frozen=True, slots=True)
class Mode:
    """A way in which Corral is made to compute the answers.

    `is_predicted`: it is sent the right answer as a prediction, in a chat. `proof`: a metric that
    must have counted something, else the mode did not happen. Of one with labels, these are the
    start.
    """

    name: str
    settings: dict[str, str] = field(default_factory=dict[str, str])
    parallel: int = 1
    has_system: bool = False
    rounds: int = 1
    is_predicted: bool = False
    proof: str | None = None


MODES = (
    Mode("alone"),
    Mode("batch", parallel=8),
    Mode("shared", parallel=8, has_system=True, proof="corral_prompt_tokens_cached_total"),
    Mode(
        "parked",
        settings={"LLM_KV_SIZE": "256", "LLM_CONTEXT_SIZE": "256"},
        parallel=8,
        proof="corral_preemptions_total",
    ),
    Mode("restored", rounds=2, proof="corral_prompt_tokens_cached_total"),
    Mode(
        "from disk",
        settings={"LLM_PREFIX_CACHE_DIR": "prefixes", "LLM_PREFIX_CACHE_BYTES": "0"},
        has_system=True,
        rounds=2,
        proof='corral_prefix_cache_tokens_total{model="corral-tiny",tier="disk"}',
    ),
    Mode(
        "speculated",
        is_predicted=True,
        proof="corral_speculation_accepted_tokens_total",
    ),
    Mode("split", settings={"LLM_KV_UNIFIED": "false", "LLM_CONTEXT_SIZE": "512"}, parallel=8),
)


@dataclass(frozen=True, slots=True)
class Expected:
    """A prompt, and what llama-server makes of it: `pieces` are the texts of `answer`."""

    question: str
    prompt: list[int]
    answer: list[int]
    pieces: list[str]

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(slots=True)
class Outcome:
    equal: int = 0
    ties: int = 0
    wrong: list[str] = field(default_factory=list[str])


def write_questions() -> list[str]:
    return [question.format(subject) for question, subject in product(QUESTIONS, SUBJECTS)]


def expect(peer: httpx.Client, system: str, question: str) -> Expected:
    """What llama-server answers, computed anew."""
    opening = f"<|im_start|>system\n{system}<|im_end|>\n" if system else ""
    text = f"{opening}<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    prompt = _post(peer, "/tokenize", {"content": text, "parse_special": True})["tokens"]
    said = _post(
        peer,
        "/completion",
        {
            "prompt": prompt,
            "n_predict": TOKENS,
            "temperature": 0,
            "cache_prompt": False,
            "return_tokens": True,
        },
    )
    answer: list[int] = said["tokens"]
    # it sends the text as a whole; its own words are those of the single tokens
    pieces = [_post(peer, "/detokenize", {"tokens": [token]})["content"] for token in answer]
    if "".join(pieces) != said["content"]:  # the last token is one that ends the answer
        pieces = [piece if not piece.startswith("<|im_end|>") else "" for piece in pieces]
    return Expected(question, prompt, answer, pieces)


def compare(server: httpx.Client, model: str, mode: Mode, expected: Sequence[Expected]) -> Outcome:
    """All prompts in one mode; the last round's answers are compared."""

    def write(one: Expected) -> str:
        body: dict[str, Any] = {"model": model, "max_tokens": TOKENS, "temperature": 0}
        if mode.is_predicted:
            body["messages"] = [{"role": "user", "content": one.question}]
            body["prediction"] = {"type": "content", "content": one.text}
            answer = _post(server, "/v1/chat/completions", body)
            return answer["choices"][0]["message"]["content"]
        body["prompt"] = one.prompt
        return _post(server, "/v1/completions", body)["choices"][0]["text"]

    texts: list[str] = []
    with ThreadPoolExecutor(mode.parallel) as pool:
        for _ in range(mode.rounds):
            texts = list(pool.map(write, expected))
    outcome = Outcome()
    for one, text in zip(expected, texts, strict=True):
        if text == one.text:
            outcome.equal += 1
            continue
        gap, shown = _look_where_they_part(server, model, one, text)
        if gap < TIE:
            outcome.ties += 1
        else:
            outcome.wrong.append(f"{shown} (the best two differ by {gap:.2f})")
    if mode.proof is not None and not _metric(server, mode.proof):
        outcome.wrong.append(f"the mode did not happen: {mode.proof} is 0")
    return outcome


def _look_where_they_part(
    server: httpx.Client, model: str, one: Expected, text: str
) -> tuple[float, str]:
    """The difference of the two best log-probabilities there, and the place in words."""
    agreed = 0
    while agreed < len(one.pieces) and text.startswith("".join(one.pieces[: agreed + 1])):
        agreed += 1
    top = _best_two(server, model, one, agreed)
    # " sorry" begins like " " and "h": they may have parted some tokens before the texts do
    for step in range(agreed, max(-1, agreed - _LONGEST_OVERLAP), -1):
        best = _best_two(server, model, one, step)
        said = "".join(one.pieces[:step])
        own = one.pieces[step] if step < len(one.pieces) else ""
        if any(piece != own and text.startswith(said + piece) for piece in best if piece):
            agreed, top = step, best
            break
    said = "".join(one.pieces[:agreed])
    first, second = [*sorted(top.values(), reverse=True), -math.inf][:2]
    mine, theirs = text[len(said) :][:20], one.text[len(said) :][:20]
    return first - second, f"token {agreed}: {mine!r} instead of {theirs!r}"


def _best_two(server: httpx.Client, model: str, one: Expected, step: int) -> dict[str, float]:
    """The two most likely tokens after so many of the answer, with their log-probabilities."""
    body = {
        "model": model,
        "prompt": [*one.prompt, *one.answer[:step]],
        "max_tokens": 1,
        "temperature": 0,
        "logprobs": 2,
    }
    top: list[dict[str, float]] = _post(server, "/v1/completions", body)["choices"][0]["logprobs"][
        "top_logprobs"
    ]
    return top[0]


def _post(client: httpx.Client, path: str, body: dict[str, Any]) -> Any:
    answer = client.post(path, json=body)
    if answer.status_code != 200:
        raise click.ClickException(f"{path} answered {answer.status_code}: {answer.text[:500]}")
    return answer.json()


def _metric(server: httpx.Client, name: str) -> float:
    lines = server.get("/metrics").text.splitlines()
    found = [line for line in lines if line.startswith((name + " ", name + "{"))]
    return sum(float(line.rpartition(" ")[2]) for line in found)


def _client(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, timeout=WAIT_S, trust_env=False)


def _corral_for(model_file: Path | None, threads: int, mode: Mode) -> tuple[Server, str]:
    folder = model_file.parent if model_file else Path("/nonexistent")
    extra = {"LLM_USE_GPU": "false", **mode.settings}
    return corral(folder, threads, extra), model_file.stem if model_file else "corral-tiny"


@click.command()
@click.option(
    "--llama-server",
    "binary",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="llama-server binary to compare with.",
)
@click.option(
    "--model-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="GGUF file to use instead of the built-in model; its chat form should be ChatML.",
)
@click.option("--mode", "names", multiple=True, type=click.Choice([mode.name for mode in MODES]))
@click.option("--threads", default=1, show_default=True)
def main(binary: Path, model_file: Path | None, names: Sequence[str], threads: int) -> None:
    """Compare greedy answers; exit code 1 where one differs without a tie."""
    peer_server = llama_server(binary, model_file or BUILTIN_PATH, threads, llama_flags(1, 2048))
    with running(peer_server) as found, _client(found.url) as peer:
        expected = {
            has_system: [
                expect(peer, SYSTEM * has_system, question) for question in write_questions()
            ]
            for has_system in (False, True)
        }
    failed = False
    for mode in MODES:
        if names and mode.name not in names:
            continue
        server, model = _corral_for(model_file, threads, mode)
        with running(server) as found, _client(found.url) as client:
            outcome = compare(client, model, mode, expected[mode.has_system])
        failed = failed or bool(outcome.wrong)
        click.echo(
            f"{mode.name:12}{outcome.equal:4} equal{outcome.ties:4} parted at a tie"
            f"{len(outcome.wrong):4} wrong"
        )
        for line in outcome.wrong:
            click.echo(f"    {line}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
