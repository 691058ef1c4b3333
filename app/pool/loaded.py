"""A model in memory: the parts that a lease gives access to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from app.chat.template import ChatTemplate
from app.core.models import ModelInfo
from app.core.options import DraftMethod
from app.core.requests import SamplingParams
from app.core.stats import EngineStats
from app.engine.constraint import ConstraintCompiler
from app.engine.embedder import Embedder
from app.engine.engine import OutputStream
from app.engine.messages import SequenceSpec


class Tokenizer(Protocol):
    """Text to token ids and back; safe from any thread (satisfied by `llama.vocabulary`)."""

    @property
    def size(self) -> int: ...

    @property
    def infill_tokens(self) -> tuple[int, int, int] | None:
        """Ids of the prefix, suffix and middle tokens, where the model has them."""
        ...

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """`add_special`: put BOS/EOS as the model wants. `parse_special`: read control tokens
        such as `<|im_start|>` in the text as tokens instead of plain characters."""
        ...

    def piece(self, token: int, *, special: bool = False) -> bytes: ...

    def detokenize(self, tokens: Sequence[int]) -> str: ...

    def text(self, token: int) -> str:
        """The vocabulary's own spelling of a token, e.g. `<|im_start|>` (for BOS/EOS names)."""
        ...

    @property
    def separators(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """What stands before, between and after the two texts of a pair."""
        ...

    @property
    def bos_token(self) -> int | None: ...

    @property
    def eos_token(self) -> int | None: ...


class TextEngine(Protocol):
    """Generates (satisfied by `engine.Engine`, and by `Replicas` of it)."""

    @property
    def stats(self) -> EngineStats:
        """The latest snapshot."""
        ...

    def submit(self, specs: tuple[SequenceSpec, ...]) -> tuple[OutputStream, ...]:
        """Queue all of `specs` or none. Raises BadRequest, QueueFull or EngineFailed."""
        ...

    async def close(self) -> None:
        """Fail what still runs, and free the contexts."""
        ...


def spell(tokenizer: Tokenizer, token: int | None) -> str:
    """How a control token is written in a template; empty where the model has none."""
    return "" if token is None else tokenizer.text(token)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """`engine` is None for encoder-only models, `embedder` None where embeddings are refused,
    `template` None where the model does not chat; `template_error` says what is wrong with it.
    `ranker` is there where the model scores pairs, which it reads as `rank_template` says, where it
    has one.
    `tool_template` is there where the model has another template for requests with tools.
    `tool_format` names the format of answers where the manifest does. `system_prompt` is for
    requests without a system message, `stop` for those that name no strings to stop at.
    `speculation` are the ways to guess tokens ahead that a
    request may choose from."""

    info: ModelInfo
    tokenizer: Tokenizer
    sampling: SamplingParams
    template: ChatTemplate | None
    engine: TextEngine | None
    embedder: Embedder | None
    constraints: ConstraintCompiler | None
    template_error: str | None = None
    speculation: frozenset[DraftMethod] = frozenset({"off", "ngram"})
    tool_template: ChatTemplate | None = None
    tool_format: str | None = None
    system_prompt: str | None = None
    stop: tuple[str, ...] = ()
    ranker: Embedder | None = None
    rank_template: str | None = None
