"""A sequence inside the engine: its tokens, its place in the KV cache, its text."""

import time
from dataclasses import dataclass, field

import numpy as np

from app.core.events import TokenLogprob
from app.engine.messages import SequenceSpec
from app.engine.runtime import Float32Array, Int32Array, Sampler
from app.engine.text import TextStream


@dataclass(slots=True, eq=False)
class Sequence:
    """State owned by the engine thread.

    `tokens[:length]` are prompt and answer so far; `computed` of them are in the KV cache under
    `slot`. A decoding sequence has exactly one token not yet computed.
    """

    spec: SequenceSpec
    submitted: float
    tokens: Int32Array
    length: int
    text: TextStream
    bias_tokens: Int32Array
    bias_values: Float32Array
    slot: int = -1
    computed: int = 0
    generated: int = 0
    admitted: int = 0  # ordinal of the latest admission: larger is newer
    has_started: bool = False
    sampler: Sampler | None = None
    prompt_logprobs: list[TokenLogprob] = field(default_factory=list[TokenLogprob])
    batch_row: int = 0  # where the last decode computed its logits: row of the batch
    logits_row: int = 0  # and row of the logits

    @classmethod
    def from_spec(cls, spec: SequenceSpec) -> "Sequence":
        n_prompt = len(spec.prompt)
        tokens = np.empty(n_prompt + spec.max_tokens, np.int32)
        tokens[:n_prompt] = spec.prompt
        return cls(
            spec=spec,
            submitted=time.monotonic(),
            tokens=tokens,
            length=n_prompt,
            text=TextStream(spec.stop),
            bias_tokens=np.array([token for token, _ in spec.sampling.logit_bias], np.int32),
            bias_values=np.array([bias for _, bias in spec.sampling.logit_bias], np.float32),
        )

    @property
    def remaining(self) -> int:
        """Known tokens that are not in the KV cache yet; at least one."""
        return self.length - self.computed

    @property
    def is_decoding(self) -> bool:
        return self.slot >= 0 and self.remaining == 1

    @property
    def wants_prompt_logprobs(self) -> bool:
        return (
            self.spec.prompt_logprobs is not None
            and len(self.prompt_logprobs) < len(self.spec.prompt) - 1
        )

    def append(self, token: int) -> None:
        self.tokens[self.length] = token
        self.length += 1
        self.generated += 1

    def leave_cache(self) -> None:
        """The KV cells are gone: everything must be computed again."""
        self.slot = -1
        self.computed = 0
