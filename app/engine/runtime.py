"""The `Runtime` Protocol: the little of llama.cpp that the engine needs.

`app.llama` satisfies it with a real context; the tests also with a fake that keeps the same
ordering rules. A runtime belongs to one engine thread: nothing else may call it.
"""

from collections.abc import Sequence as Seq
from typing import Protocol

import numpy as np
import numpy.typing as npt

from app.core.adapters import AdapterSet
from app.core.memory import MemoryTraits, SavedRange
from app.core.requests import SamplingParams

Int32Array = npt.NDArray[np.int32]
Float32Array = npt.NDArray[np.float32]


class Vocabulary(Protocol):
    """Token ids and their bytes; safe to use from any thread."""

    @property
    def size(self) -> int: ...

    @property
    def end_tokens(self) -> frozenset[int]:
        """End-of-generation tokens."""
        ...

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The exact bytes of a token; empty for control tokens unless `special`."""
        ...


class Batch(Protocol):
    """Struct of arrays that the next `decode` reads; the engine fills rows 0..n-1.

    `token`, `position`, `sequence`: int32 of shape (capacity,). `output`: int8, 1 where logits
    are wanted.
    """

    @property
    def token(self) -> Int32Array: ...

    @property
    def position(self) -> Int32Array: ...

    @property
    def sequence(self) -> Int32Array: ...

    @property
    def output(self) -> npt.NDArray[np.int8]: ...


class Permit(Protocol):
    """What may come next in one sequence."""

    def allows(self, token: int) -> bool: ...

    def mask(self, logits: Float32Array) -> None:
        """Set every forbidden token of a row of shape (vocabulary size,) to minus infinity."""
        ...


class Sampler(Protocol):
    """One sequence's sampling state (penalty history, random state, mirostat's mu)."""

    def sample(self, row: int, logits: Float32Array, permit: Permit | None = None, /) -> int:
        """Choose a token from batch row `row` and remember it. `logits` of shape (vocabulary
        size,) is that row of the runtime's `logits`; it may be changed. What `permit` forbids is
        not chosen."""
        ...

    def accept(self, token: int) -> None:
        """Remember a token that was not chosen here."""
        ...

    def close(self) -> None: ...


class Runtime(Protocol):
    @property
    def vocabulary(self) -> Vocabulary: ...

    @property
    def batch(self) -> Batch: ...

    @property
    def batch_capacity(self) -> int:
        """Most tokens in one `decode`."""
        ...

    @property
    def max_outputs(self) -> int:
        """Most rows with `output` set in one `decode`."""
        ...

    @property
    def max_sequences(self) -> int: ...

    @property
    def kv_size(self) -> int:
        """KV cells shared by all sequences."""
        ...

    def adapt(self, adapters: AdapterSet) -> None:
        """Decode under these adapters from now on, none at first. What is in the cache stays as it
        was computed."""
        ...

    def decode(self, n_tokens: int) -> bool:
        """Run the first `n_tokens` rows of the batch.

        True: done. False: no room in the KV cache, state unchanged. Raises EngineFailed when
        the context is lost.
        """
        ...

    def logits(self, n_rows: int) -> Float32Array:
        """View of shape (n_rows, vocabulary size), writable, in the order of the output rows;
        valid until the next `decode`."""
        ...

    @property
    def memory(self) -> MemoryTraits: ...

    def remove(self, sequence: int, start: int, end: int) -> None:
        """Forget positions start..end-1 of a sequence (end -1: to its end). A tail may be cut off
        down to `shortest`."""
        ...

    def shortest(self, sequence: int, length: int) -> int:
        """The shortest prefix to which a sequence of `length` positions can be cut back, or that
        can be shared: 0 where all are kept, `length` for a recurrent state, in between for a
        sliding window."""
        ...

    def share(self, source: int, target: int, end: int) -> None:
        """Make positions 0..end-1 of `source` those of `target`, which must be empty; `end` is at
        least `shortest` of the source."""
        ...

    def save(self, sequence: int, start: int) -> memoryview:
        """A copy of a sequence from position `start` on (0 unless `saves_ranges`)."""
        ...

    def restore(self, sequence: int, ranges: Seq[SavedRange], have: int = 0) -> bool:
        """Fill a sequence with adjoining ranges, the first of which starts at 0. It has the first
        `have` positions already: none unless its memory `saves_ranges` and `is_cuttable`. False
        when there is no room; the sequence is empty then."""
        ...

    def make_sampler(self, params: SamplingParams, prompt: Seq[int]) -> Sampler: ...

    def make_graph_sampler(self, params: SamplingParams) -> Sampler | None:
        """A sampler inside the compute graph, which leaves no logits to anybody else; None where
        there is none for this sampling."""
        ...

    def seat(self, slot: int, sampler: Sampler | None, /) -> None:
        """Say who samples the sequence that gets `slot`, before its tokens are computed there."""
        ...

    def close(self) -> None: ...
