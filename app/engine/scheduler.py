"""What runs next: pure decisions over sequences, no llama.cpp and no clock.

Each step holds one token of every decoding sequence, then pieces of prompts. A sequence is
admitted when its tokens fit beside everything already admitted. When decoding runs out of room,
the newest sequence of the lowest priority gives up its cells and is computed again later, so
that requests whose sum exceeds the cache all succeed.
"""

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.engine.messages import EngineConfig
from app.engine.sequence import Sequence

# cells kept free beyond a newcomer's tokens, so that it is not parked again at once
_HEADROOM = 32


@dataclass(frozen=True, slots=True)
class Limits:
    """What the context offers: sequences, KV cells, tokens and logits rows per decode."""

    max_sequences: int
    kv_size: int
    batch_tokens: int
    max_outputs: int


@dataclass(slots=True)
class Step:
    """One batch: a token of each of `decode`, and `count` prompt tokens of each of `prefill`."""

    decode: list[Sequence] = field(default_factory=list[Sequence])
    prefill: list[tuple[Sequence, int]] = field(default_factory=list[tuple[Sequence, int]])

    @property
    def n_tokens(self) -> int:
        return len(self.decode) + sum(count for _, count in self.prefill)


class Scheduler:
    def __init__(self, limits: Limits, config: EngineConfig) -> None:
        self._limits = limits
        self._config = config
        self._free_slots = list(range(limits.max_sequences - 1, -1, -1))
        self._admissions = 0
        self.waiting: list[Sequence] = []
        self.live: list[Sequence] = []

    def enqueue(self, sequence: Sequence) -> None:
        """Put a sequence in the queue: by priority, then by age."""
        insort(self.waiting, sequence, key=lambda s: (s.spec.priority, s.submitted))

    def admit(self) -> Iterator[Sequence]:
        """Move sequences from the queue into the context while they fit, in order: a large one
        at the head is waited for, never overtaken for ever."""
        while self.waiting and self._free_slots:
            sequence = self.waiting[0]
            if self.live and sequence.length + _HEADROOM > self._unreserved_cells():
                return
            self.waiting.pop(0)
            sequence.slot = self._free_slots.pop()
            self._admissions += 1
            sequence.admitted = self._admissions
            self.live.append(sequence)
            yield sequence

    def plan(self) -> Step:
        """Choose the next step's rows among the live sequences."""
        step = Step(decode=[s for s in self.live if s.is_decoding])
        n_decode = len(step.decode)
        room = self._config.mixed_step_tokens if n_decode else self._config.step_tokens
        room = min(room, self._limits.batch_tokens - n_decode)
        outputs = self._limits.max_outputs - n_decode
        for sequence in self.live:
            if room <= 0 or outputs <= 0:
                break
            if sequence.is_decoding:
                continue
            count = min(room, sequence.remaining)
            if sequence.wants_prompt_logprobs:
                count = min(count, outputs)
                outputs -= count
            else:
                outputs -= 1
            step.prefill.append((sequence, count))
            room -= count
        return step

    def park(self) -> Sequence | None:
        """Take the newest sequence of the lowest priority out of the context, back into the
        queue; None when only one is left. The caller frees its cells before `slot` is reused."""
        if len(self.live) < 2:
            return None
        victim = max(self.live, key=lambda s: (s.spec.priority, s.admitted))
        self.release(victim)
        self.enqueue(victim)
        return victim

    def release(self, sequence: Sequence) -> None:
        """The sequence leaves the context; its slot may be used again."""
        self.live.remove(sequence)
        self._free_slots.append(sequence.slot)

    def has_room(self, step: Step) -> bool:
        """Whether the KV cache can hold the step's tokens."""
        return self.cells_used() + step.n_tokens <= self._limits.kv_size

    def cells_used(self) -> int:
        return sum(s.computed for s in self.live)

    def _unreserved_cells(self) -> int:
        return self._limits.kv_size - sum(s.length for s in self.live)
