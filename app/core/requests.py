"""What a caller asks for, after decoding and before a model is involved."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from app.core.messages import Message, Tool, ToolChoice
from app.core.options import INTERACTIVE, DraftMethod


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How the next token is chosen. Names and meanings are llama.cpp's; zero or one switches off.

    `seed` None draws a fresh one. `repeat_last_n` and `dry_penalty_last_n` count tokens;
    -1 means the whole context.
    """

    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    typical_p: float = 1.0
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repeat_penalty: float = 1.0
    repeat_last_n: int = 64
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    dry_penalty_last_n: int = -1
    dry_sequence_breakers: tuple[str, ...] = ("\n", ":", '"', "*")
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1
    mirostat: Literal[0, 1, 2] = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    logit_bias: tuple[tuple[int, float], ...] = ()


class SamplingOverrides(TypedDict, total=False):
    """The sampling fields a caller set; the model's defaults fill the rest."""

    temperature: float
    top_k: int
    top_p: float
    min_p: float
    typical_p: float
    seed: int | None
    presence_penalty: float
    frequency_penalty: float
    repeat_penalty: float
    repeat_last_n: int
    dry_multiplier: float
    dry_base: float
    dry_allowed_length: int
    dry_penalty_last_n: int
    dry_sequence_breakers: tuple[str, ...]
    xtc_probability: float
    xtc_threshold: float
    mirostat: Literal[0, 1, 2]
    mirostat_tau: float
    mirostat_eta: float
    logit_bias: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """A conversation to render with the model's chat template.

    `effort` is OpenAI's, or `none`. `template_kwargs` are given to the template as they are.
    """

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    thinking: bool | None = None
    effort: str | None = None
    tool_choice: ToolChoice = field(default_factory=ToolChoice)
    template_kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class TextPrompt:
    """Raw text; with `suffix`, a fill-in-the-middle prompt."""

    text: str
    suffix: str | None = None


@dataclass(frozen=True, slots=True)
class TokenPrompt:
    """Token ids, used as they are."""

    tokens: tuple[int, ...]


Prompt = ChatPrompt | TextPrompt | TokenPrompt


@dataclass(frozen=True, slots=True)
class JsonObject:
    """Any JSON object. `source` of this and the others: the request field it stood in."""

    source: str


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """JSON text valid under `schema`. `strict`: the schema must be one for OpenAI's strict mode."""

    schema: Mapping[str, Any]
    source: str
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Regex:
    """Text that matches `pattern` as a whole."""

    pattern: str
    source: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One of `options`, to the letter."""

    options: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Grammar:
    """Text of a context-free grammar: llguidance's Lark, or llama.cpp's GBNF."""

    text: str
    syntax: Literal["lark", "gbnf"]
    source: str


Constraint = JsonObject | JsonSchema | Regex | Choice | Grammar


@dataclass(frozen=True, slots=True)
class AdapterChoice:
    """An adapter of the model by its number or its name; `scale` None: as the manifest says."""

    id: int | str
    scale: float | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: for logs, limits and fairness. `key_id` is a short digest, never the key.

    `end_user` is a digest of whom the request says it is for: nobody checks that. Its requests get
    no smaller a number than `priority`.
    """

    request_id: str
    key_id: str | None = None
    end_user: str | None = None
    priority: int = INTERACTIVE

    @property
    def owner(self) -> str | None:
        """Who shares the engine with others: the key, or without keys the end user."""
        return self.key_id or self.end_user


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One request for text: `n` answers to each of `prompts`.

    `max_tokens` None means the rest of the context. `logprobs` is how many alternatives are
    wanted beside each chosen token (0: the chosen one only), None for no log-probabilities.
    `thought_tokens` bounds thoughts; 0 closes them at once.
    `echo` returns the prompt first. `best_of` candidates are generated and the `n` of highest
    mean log-probability kept. Of waiting requests those of smaller `priority` start first.
    `speculation` None leaves the model's own; `prediction` is text that the answer probably
    contains. `keep_alive`: seconds that the model stays in memory unused from then on, infinite for
    ever; None leaves what holds. `lora`: the adapters to apply, none but these; None: what the
    model's name says.
    """

    model: str
    prompts: tuple[Prompt, ...]
    caller: Caller
    sampling: SamplingOverrides = field(default_factory=SamplingOverrides)
    max_tokens: int | None = None
    thought_tokens: int | None = None
    min_tokens: int = 0
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    n: int = 1
    best_of: int | None = None
    echo: bool = False
    logprobs: int | None = None
    constraint: Constraint | None = None
    priority: int = INTERACTIVE
    speculation: DraftMethod | None = None
    prediction: str | None = None
    keep_alive: float | None = None
    lora: tuple[AdapterChoice, ...] | None = None


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """Vectors for each of `inputs` (text or token ids), cut to `dimensions` and re-normalised.

    `truncate`: an input that is too long loses its end. `keep_alive` as in GenerationRequest.
    """

    model: str
    inputs: tuple[TextPrompt | TokenPrompt, ...]
    caller: Caller
    dimensions: int | None = None
    truncate: bool = False
    keep_alive: float | None = None


@dataclass(frozen=True, slots=True)
class TokenizeRequest:
    """`add_special`: BOS and EOS as the model wants them. `parse_special`: control tokens written
    in the text are read as tokens."""

    model: str
    text: str
    add_special: bool = False
    parse_special: bool = True


@dataclass(frozen=True, slots=True)
class RerankRequest:
    """How well each of `documents` answers `query`. `document_tokens`: of longer documents only the
    beginning is read."""

    model: str
    query: str
    documents: tuple[str, ...]
    document_tokens: int | None = None
