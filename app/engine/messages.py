"""What crosses the border between the event loop and an engine thread: plain, frozen messages.

Only ids, bytes, text and numbers cross, never callbacks or shared objects, so that an engine
could live in a child process without its callers noticing.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from app.core.adapters import NO_ADAPTERS, AdapterSet
from app.core.errors import CorralError
from app.core.events import TokenLogprob
from app.core.options import DraftMethod
from app.core.requests import SamplingParams

StopReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class ThoughtLimit:
    """At most `tokens` tokens of thought, then `closing` is written.

    `open` and `close` are the markers; `is_open`: the answer begins inside of a thought.
    """

    tokens: int
    open: str
    close: str
    closing: tuple[int, ...]
    is_open: bool


@dataclass(frozen=True, slots=True)
class SequenceSpec:
    """A validated sequence to generate. Only `services.generation` makes these, after all checks.

    - `prompt`: token ids, at least one, at most the context size less one.
    - `max_tokens`: at least 1; prompt + max_tokens is at most the context size.
    - `stop`: strings that end the text and are not part of it.
    - `stop_tokens`: token ids that end the text, beside the model's end-of-generation tokens.
    - `shown_tokens`: control tokens whose spelling is part of the text; others have none.
    - `logprobs`: alternatives wanted beside each chosen token; None for no log-probabilities.
    - `prompt_logprobs`: the same for the prompt's own tokens (completions with `echo`).
    - `constraint`: a compiled grammar (see `engine.constraint`), private to this sequence.
    - `thought`: how long it may think; None for as long as it likes.
    - `queue_deadline`: monotonic seconds after which it must not be started any more.
    - `priority`: smaller starts first.
    - `owner`: who shares fairly with other owners of the same priority; first come first served
      within one owner.
    - `speculation`: how to guess tokens ahead; None leaves the choice to the engine's config.
    - `prediction`: token ids that the answer probably contains, to guess from.
    - `adapters`: under which it is computed.
    """

    id: str
    prompt: tuple[int, ...]
    max_tokens: int
    sampling: SamplingParams
    min_tokens: int = 0
    stop: tuple[str, ...] = ()
    stop_tokens: frozenset[int] = frozenset()
    ignore_eos: bool = False
    shown_tokens: frozenset[int] = frozenset()
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    constraint: Any = None
    thought: ThoughtLimit | None = None
    queue_deadline: float | None = None
    priority: int = 0
    owner: str | None = None
    speculation: DraftMethod | None = None
    prediction: tuple[int, ...] = ()
    adapters: AdapterSet = NO_ADAPTERS


@dataclass(frozen=True, slots=True)
class Submit:
    spec: SequenceSpec


@dataclass(frozen=True, slots=True)
class Cancel:
    id: str


@dataclass(frozen=True, slots=True)
class SequenceStarted:
    """The sequence was admitted: it left the queue `queue_seconds` after it was submitted."""

    id: str
    cached_tokens: int
    queue_seconds: float


class SequenceOutput(NamedTuple):  # one a token: making a dataclass takes several times as long
    """What one step added: whole characters only, never part of a stop string.

    `n_tokens` tokens were generated in the step; `text` may be empty while a character or a
    possible stop string is incomplete. `logprobs` belong to the tokens whose text is complete.
    """

    id: str
    text: str
    n_tokens: int
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class PromptLogprobs:
    """Log-probabilities of prompt tokens 1..n-1, each given the tokens before it."""

    id: str
    logprobs: tuple[TokenLogprob, ...]


@dataclass(frozen=True, slots=True)
class SequenceFinished:
    """The end of a sequence of `n_tokens` generated tokens, `accepted_tokens` of which had been
    guessed ahead; `rejected_tokens` guesses were wrong."""

    id: str
    reason: StopReason
    n_tokens: int
    accepted_tokens: int = 0
    rejected_tokens: int = 0


@dataclass(frozen=True, slots=True)
class SequenceFailed:
    id: str
    error: CorralError


@dataclass(frozen=True, slots=True)
class SequenceCancelled:
    """The engine has let go of a cancelled sequence: its cells and its place are free."""

    id: str


Command = Submit | Cancel
Output = SequenceStarted | PromptLogprobs | SequenceOutput | SequenceFinished | SequenceFailed
End = SequenceFinished | SequenceFailed | SequenceCancelled


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Limits of one engine.

    `max_queue`: sequences that may wait. `step_tokens`: most prompt tokens in a step.
    `step_seconds`: wanted time between two tokens of a running stream; 0 for no bound.
    `mixed_step_tokens`: prompt tokens in that time until it is known what a token costs.
    `mixes_steps`: streams and prompts share steps instead of taking turns.
    `speculation`: who guesses tokens ahead for sequences that do not say, up to `draft_tokens` a
    step, and only where it pays unless `gates_speculation` is off. `adapters`: the names of those
    that the runtime has.
    """

    max_queue: int = 256
    step_tokens: int = 512
    step_seconds: float = 0.4
    mixed_step_tokens: int = 128
    mixes_steps: bool = False
    speculation: DraftMethod = "off"
    draft_tokens: int = 4
    gates_speculation: bool = True
    adapters: tuple[str, ...] = ()
    name: str = "model"
