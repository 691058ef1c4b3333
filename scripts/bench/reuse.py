"""How many prompt tokens a server computed, for each that it had not seen before."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

from app.chat.template import ChatTemplate
from app.cli.bench.client import ChatClient
from app.cli.bench.counters import read_counters
from app.cli.bench.http import Server
from app.cli.bench.prompts import PromptWriter
from app.cli.bench.records import ChatRequest, Completion
from app.cli.bench.runner import ServerUnusableError, warm_up
from app.cli.bench.workloads import Pass, Sizes, build_workloads
from app.core.messages import Message, Role
from app.llama import library
from app.llama.model import Model, ModelOptions

WORKLOADS = ("shared-prefix", "multi-turn")


Tree: TypeAlias = "dict[bytes, Tree]"


class SeenTokens:
    """Sequences of tokens seen so far, as a tree: beginnings in common are held once."""

    def __init__(self) -> None:
        self._root: Tree = {}

    def add(self, tokens: Iterable[bytes]) -> int:
        """Take in a sequence; how many of its tokens follow a beginning not seen before."""
        node, new = self._root, 0
        for token in tokens:
            if token not in node:
                node[token] = {}
                new += 1
            node = node[token]
        return new


def count_unique(answered: Iterable[tuple[Sequence[bytes], Sequence[bytes]]]) -> int:
    """Prompt tokens that had to be computed, of (prompt, answer) pairs in the order sent.

    Answers count as seen, all but the last token, which never goes through the model.
    """
    seen, unique = SeenTokens(), 0
    for prompt, answer in answered:
        unique += seen.add(prompt)
        seen.add([*prompt, *answer[:-1]])
    return unique


@dataclass(frozen=True, slots=True)
class Prompts:
    """Turns requests into the bytes of each prompt token, as Corral makes them."""

    model: Model
    template: ChatTemplate

    @classmethod
    def of(cls, path: Path) -> "Prompts":
        """Read vocabulary and template of a model file."""
        library.init(lambda _level, _text: None)
        model = Model.load(path, ModelOptions())
        spell = model.vocabulary.text
        bos, eos = model.vocabulary.bos_token, model.vocabulary.eos_token
        names = {
            "bos_token": "" if bos is None else spell(bos),
            "eos_token": "" if eos is None else spell(eos),
        }
        return cls(model, ChatTemplate(model.metadata.get("tokenizer.chat_template"), **names))

    def tokens(self, request: ChatRequest) -> list[bytes]:
        """The bytes of each token of the rendered prompt."""
        messages = [
            Message(cast("Role", turn["role"]), turn["content"]) for turn in request.messages
        ]
        text = self.template.render(messages).text
        vocabulary = self.model.vocabulary
        tokens = vocabulary.tokenize(text, add_special=True, parse_special=True)
        if len(tokens) > 1 and tokens[0] == tokens[1] == vocabulary.bos_token:
            del tokens[0]
        return [vocabulary.piece(token, special=True) for token in tokens]


async def measure_reuse(url: str, model: str, prompts: Prompts, sizes: Sizes) -> dict[str, float]:
    """Computed over unique prompt tokens of each of `WORKLOADS`; not timed, for it asks for
    log-probabilities to learn which tokens were generated."""
    server = Server(url)
    client = ChatClient(server, model, ignore_eos=True, logprobs=True)
    writer = PromptWriter(await warm_up(client), seed=1)
    found: dict[str, float] = {}
    for workload in build_workloads(WORKLOADS, sizes):
        before = await read_counters(server, model)
        seen = await workload.run(Pass(client, writer, f"reuse/{workload.name}", lambda: None))
        after = await read_counters(server, model)
        if before is None or after is None:
            raise ServerUnusableError(f"{url} has no counters of prompt tokens")
        pairs = _pairs(seen.completions, prompts)
        computed = after.prompt_tokens_computed - before.prompt_tokens_computed
        found[workload.name] = computed / count_unique(pairs)
    return found


def _pairs(
    completions: Sequence[Completion], prompts: Prompts
) -> list[tuple[list[bytes], tuple[bytes, ...]]]:
    """Prompt and answer of each request, in the order sent; checks the server's own counts."""
    pairs: list[tuple[list[bytes], tuple[bytes, ...]]] = []
    for done in sorted(completions, key=lambda done: done.started):
        if done.error is not None:
            raise ServerUnusableError(f"a request failed: {done.error}")
        prompt = prompts.tokens(done.request)
        counts = (len(prompt), len(done.tokens))
        if counts != (done.prompt_tokens, done.output_tokens):
            raise ServerUnusableError(
                f"counted {counts} prompt and answer tokens, but the server "
                f"{(done.prompt_tokens, done.output_tokens)}"
            )
        pairs.append((prompt, done.tokens))
    return pairs
