"""What a step brings its sequences: tokens become text, text is released, sequences end."""

from app.core.errors import CorralError
from app.core.events import TokenLogprob
from app.engine.messages import (
    Output,
    PromptLogprobs,
    SequenceCancelled,
    SequenceFailed,
    SequenceFinished,
    SequenceOutput,
    SequenceStarted,
    StopReason,
)
from app.engine.runtime import Vocabulary
from app.engine.sequence import Sequence


class Outcomes:
    """Collects the outputs of one step."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._outputs: list[Output | SequenceCancelled] = []

    @property
    def has_any(self) -> bool:
        return bool(self._outputs)

    def take(self) -> list[Output | SequenceCancelled]:
        """All that was collected, in order; leaves nothing."""
        outputs, self._outputs = self._outputs, []
        return outputs

    def start(self, sequence: Sequence, cached_tokens: int) -> None:
        self._outputs.append(
            SequenceStarted(sequence.spec.id, cached_tokens, sequence.queue_seconds)
        )

    def add_token(
        self, sequence: Sequence, token: int, logprob: TokenLogprob | None
    ) -> StopReason | None:
        """Append a token and release its text; why the sequence ends with it, or None."""
        spec = sequence.spec
        sequence.append(token)
        if spec.constraint is not None:
            spec.constraint.accept(token)
        if token in self._vocabulary.end_tokens or token in spec.stop_tokens:
            self._outputs.append(SequenceOutput(spec.id, "", 1))
            return "stop"
        piece = self._vocabulary.piece(token, special=token in spec.shown_tokens)
        if sequence.thought is not None:
            sequence.thought.add(piece)
        released = sequence.text.push(piece, logprob)
        self._outputs.append(SequenceOutput(spec.id, released.text, 1, released.logprobs))
        is_complete = spec.constraint is not None and spec.constraint.is_complete
        if released.has_stopped or is_complete:
            return "stop"
        return "length" if sequence.generated >= spec.max_tokens else None

    def add_prompt_logprobs(self, sequence: Sequence) -> None:
        self._outputs.append(PromptLogprobs(sequence.spec.id, tuple(sequence.prompt_logprobs)))

    def finish(self, sequence: Sequence, reason: StopReason) -> None:
        rest = sequence.text.finish()
        if rest.text or rest.logprobs:
            self._outputs.append(SequenceOutput(sequence.spec.id, rest.text, 0, rest.logprobs))
        self._outputs.append(
            SequenceFinished(
                sequence.spec.id,
                reason,
                sequence.generated,
                accepted_tokens=sequence.accepted_guesses,
                rejected_tokens=sequence.rejected_guesses,
            )
        )

    def fail(self, identifier: str, error: CorralError) -> None:
        self._outputs.append(SequenceFailed(identifier, error))

    def cancel(self, identifier: str) -> None:
        self._outputs.append(SequenceCancelled(identifier))
