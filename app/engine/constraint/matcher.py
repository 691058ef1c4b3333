"""Following one sequence through its grammar."""

import time
from typing import Any, Protocol

import numpy as np

from app.core.errors import ConstraintFailed
from app.engine.runtime import Float32Array, Int32Array

# Of the thread's own time, not the clock's. Ordinary steps take some microseconds, hard ones two
# milliseconds; all others wait for a step of the engine.
_STEP_SECONDS = 0.25
_ENDED_WELL = frozenset({"NotStopped", "NoExtension", "EndOfSentence"})


class TokenConstraint(Protocol):
    """One sequence's position in a grammar; belongs to the engine thread once submitted.

    Each method raises ConstraintFailed when the grammar has become too much work, or leaves no
    way on: the sequence must end with that error, since nothing holds its answer any more.
    """

    def allows(self, token: int) -> bool: ...

    def mask(self, logits: Float32Array) -> None:
        """Set every forbidden token of a row of shape (vocabulary size,) to minus infinity."""
        ...

    def accept(self, token: int) -> None: ...

    def forced(self) -> list[int]:
        """The tokens that must come next, whatever the model says; not accepted yet. Empty where
        there is a choice, and never an end token."""
        ...

    @property
    def is_complete(self) -> bool:
        """Nothing but the end may follow."""
        ...


class GrammarConstraint:
    """A `TokenConstraint` on an llguidance matcher.

    The matcher reports no failure by itself: it answers with the end token from then on, which
    would look like an answer that is done. So it is asked after every step.
    """

    def __init__(
        self, matcher: Any, bits: Int32Array, source: str, openers: tuple[int, ...] = ()
    ) -> None:
        """`bits` of shape ((vocabulary size + 31) // 32,) is where masks are computed; all
        constraints of one engine thread may share it. `source`: the field to name in errors.
        `openers`: tokens that the model may choose of itself, and is not to be led to."""
        self._matcher = matcher
        self._bits = bits
        self._source = source
        self._openers = openers

    def allows(self, token: int) -> bool:
        return self._matcher.validate_tokens([token]) == 1

    def mask(self, logits: Float32Array) -> None:
        """Where a bias has forbidden every token that the grammar leaves (the end of an answer
        that should go on), the grammar wins.

        A thought or a call may be opened only where the model wants that most of all: among the
        few tokens that a format leaves, its opener would soon be the likeliest.
        """
        wanted = int(logits.argmax()) if self._openers else -1
        bits, started = self._bits, time.thread_time()
        self._matcher.unsafe_compute_mask_ptr(bits.ctypes.data, bits.nbytes)
        self._check(started)
        forbidden = np.unpackbits(~bits.view(np.uint8), bitorder="little")[: len(logits)]
        for opener in self._openers:
            is_led_to = opener != wanted and not forbidden[opener]
            if is_led_to and np.count_nonzero(forbidden) < len(forbidden) - 1:
                forbidden[opener] = 1
        np.copyto(logits, -np.inf, where=forbidden.view(np.bool_))
        if np.count_nonzero(bits) <= 4 and not np.isfinite(logits.max()):
            logits[forbidden == 0] = 0.0

    def accept(self, token: int) -> None:
        started = time.thread_time()
        self._matcher.consume_token(token)
        self._check(started)

    def forced(self) -> list[int]:
        if self._matcher.is_stopped():
            return []
        started = time.thread_time()
        tokens = self._matcher.compute_ff_tokens()
        self._check(started)
        return tokens

    @property
    def is_complete(self) -> bool:
        return self._matcher.is_stopped()

    def _check(self, started: float) -> None:
        reason = None
        if self._matcher.is_stopped():  # also by an error
            reason = find_failure(self._matcher.get_error(), self._matcher.stop_reason())
        if time.thread_time() - started > _STEP_SECONDS:
            reason = "a step of it takes too long"
        if reason is not None:
            raise ConstraintFailed(
                f"The answer cannot be held to its format any further: {reason}. Simplify the "
                f"schema or grammar.",
                param=self._source,
            )


def find_failure(error: str, stop_reason: str) -> str | None:
    """Why an llguidance matcher cannot go on, in one line; None where it can."""
    if not error and stop_reason in _ENDED_WELL:
        return None
    reason = error or stop_reason
    if "NoExtension" in reason:
        return "no text can match it"
    lines = [line.strip().rstrip(".:") for line in reason.splitlines()]
    told = [line for line in lines if line.startswith("error: ")]  # of a regular expression
    told += [line for line in lines if line and not line.startswith("<")]
    return told[0].removeprefix("error: ")[:300] if told else "it is too complex"
