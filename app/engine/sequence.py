"""A sequence inside the engine: its tokens, its place in the KV cache, its text."""

import time
from dataclasses import dataclass, field

import numpy as np

from app.core.adapters import AdapterSet
from app.core.events import TokenLogprob
from app.engine.fairness import Share
from app.engine.messages import SequenceSpec
from app.engine.prefix.tree import Saved
from app.engine.runtime import Float32Array, Int32Array, Sampler
from app.engine.text import TextStream
from app.engine.thought import ThoughtWatch

# a sequence with no more tokens than these to compute is as good as decoding
MOST_PENDING = 16


@dataclass(slots=True, eq=False)
class Sequence:
    """State owned by the engine thread.

    `tokens[:length]` are prompt and answer so far; `computed` of them are in the KV cache under
    `slot`. A decoding sequence has its last token, and perhaps some that a grammar forced, still
    to be computed.
    """

    spec: SequenceSpec
    adapters: AdapterSet
    share: Share
    submitted: float
    tokens: Int32Array
    length: int
    text: TextStream
    bias_tokens: Int32Array
    bias_values: Float32Array
    prediction: Int32Array
    slot: int = -1
    computed: int = 0
    generated: int = 0
    admitted: int = 0  # ordinal of the latest admission: larger is newer
    turn: int = 0  # whose prompt is read first: smaller goes first
    queue_seconds: float = 0.0
    has_started: bool = False  # was admitted once
    is_attached: bool = False  # has what others knew of its tokens, and may be computed
    is_announced: bool = False
    expected_share: int = 0  # tokens that it will probably take over from others in the context
    parked_state: Saved | None = None
    computed_before: int = 0  # tokens that were in the KV cache when it was parked
    # lengths at which a step stops and the state is saved
    checkpoints: set[int] = field(default_factory=set[int])
    accepted_guesses: int = 0
    rejected_guesses: int = 0
    thought: ThoughtWatch | None = None
    sampler: Sampler | None = None
    prompt_logprobs: list[TokenLogprob] = field(default_factory=list[TokenLogprob])

    @classmethod
    def from_spec(cls, spec: SequenceSpec) -> "Sequence":
        n_prompt = len(spec.prompt)
        tokens = np.empty(n_prompt + spec.max_tokens, np.int32)
        tokens[:n_prompt] = spec.prompt
        return cls(
            spec=spec,
            adapters=spec.adapters,
            share=Share(spec.priority, spec.owner),
            submitted=time.monotonic(),
            tokens=tokens,
            length=n_prompt,
            text=TextStream(spec.stop),
            bias_tokens=np.array([token for token, _ in spec.sampling.logit_bias], np.int32),
            bias_values=np.array([bias for _, bias in spec.sampling.logit_bias], np.float32),
            prediction=np.array(spec.prediction, np.int32),
            thought=None if spec.thought is None else ThoughtWatch(spec.thought),
        )

    @property
    def known(self) -> Int32Array:
        """Prompt and answer so far."""
        return self.tokens[: self.length]

    @property
    def cacheable(self) -> Int32Array:
        """The tokens whose computation may be skipped: the last one's logits are needed, and so
        are those of a prompt whose log-probabilities are wanted."""
        end = self.length - 1
        return self.tokens[: len(self.prompt_logprobs) if self.wants_prompt_logprobs else end]

    @property
    def remaining(self) -> int:
        """Known tokens that are not in the KV cache yet; at least one."""
        return self.length - self.computed

    @property
    def is_decoding(self) -> bool:
        """So little is left to compute that the next step brings a token."""
        if not self.is_attached or self.wants_prompt_logprobs:
            return False
        return self.remaining <= MOST_PENDING

    @property
    def wants_prompt_logprobs(self) -> bool:
        return (
            self.spec.prompt_logprobs is not None
            and len(self.prompt_logprobs) < len(self.spec.prompt) - 1
        )

    @property
    def tokens_left(self) -> int:
        """How many more tokens may be generated."""
        return self.spec.max_tokens - self.generated

    def next_piece(self, most: int) -> int:
        """How many tokens to compute next: at most `most`, and not past a checkpoint."""
        count = min(most, self.remaining)
        if self.checkpoints:
            ahead = [at - self.computed for at in self.checkpoints if at > self.computed]
            count = min([count, *ahead])
        return count

    def append(self, token: int) -> None:
        self.tokens[self.length] = token
        self.length += 1
        self.generated += 1

    def leave_cache(self) -> None:
        """The KV cells are gone."""
        self.slot = -1
        self.computed = 0
        self.is_attached = False
