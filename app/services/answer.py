"""One answer while it is generated: the engine's outputs become neutral events."""

from dataclasses import dataclass, field

from app.chat.parsers.base import StreamParser
from app.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    Started,
    TextDelta,
    TokenCandidate,
    TokenLogprob,
)
from app.engine.messages import (
    Output,
    PromptLogprobs,
    SequenceFailed,
    SequenceFinished,
    SequenceOutput,
    SequenceSpec,
    SequenceStarted,
    StopReason,
)
from app.services.logprobs import LogprobTrack
from app.services.parts import PartReader
from app.services.tokens import TokenizedPrompt


@dataclass(slots=True)
class Tally:
    """What one answer has cost so far."""

    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    accepted_tokens: int = 0
    rejected_tokens: int = 0
    logprob_sum: float = 0.0
    logprob_count: int = 0

    @property
    def mean_logprob(self) -> float:
        return self.logprob_sum / self.logprob_count if self.logprob_count else float("-inf")


@dataclass(frozen=True, slots=True)
class Echo:
    """The prompt to give back first. `first_token` has no log-probability of its own.

    `awaits_logprobs`: those of the other tokens come from the engine. `is_all`: nothing but the
    prompt is wanted back.
    """

    prompt: TokenizedPrompt
    first_token: TokenCandidate
    awaits_logprobs: bool
    is_all: bool


@dataclass(slots=True)
class Answer:
    """Reads one sequence's outputs. `echo` None unless the prompt is to be returned."""

    choice: int
    spec: SequenceSpec
    parser: StreamParser
    wants_logprobs: bool
    echo: Echo | None = None
    tally: Tally = field(default_factory=Tally)
    _track: LogprobTrack = field(default_factory=LogprobTrack)
    _reader: PartReader = field(init=False)
    _is_echoed: bool = False

    def __post_init__(self) -> None:
        take = self._track.take if self.wants_logprobs else None
        self._reader = PartReader(self.choice, take_logprobs=take)

    def read(self, output: Output) -> list[Event]:
        match output:
            case SequenceOutput():
                return self._read_output(output)
            case SequenceStarted():
                self.tally.cached_tokens = output.cached_tokens
                started = Started(
                    self.choice, len(self.spec.prompt), output.cached_tokens, output.queue_seconds
                )
                waits = self.echo is not None and self.echo.awaits_logprobs
                return [started] if waits else [started, *self._tell_echo(())]
            case PromptLogprobs():
                return self._tell_echo(output.logprobs)
            case SequenceFinished():
                self.tally.accepted_tokens = output.accepted_tokens
                self.tally.rejected_tokens = output.rejected_tokens
                return self._finish(output.reason)
            case SequenceFailed():
                return [Failed(self.choice, output.error)]

    def _read_output(self, output: SequenceOutput) -> list[Event]:
        events = self._tell_echo(())
        self.tally.completion_tokens += output.n_tokens
        was_reasoning = self.parser.is_reasoning
        for logprob in output.logprobs:
            self.tally.logprob_sum += logprob.token.logprob
            self.tally.logprob_count += 1
        if self.is_scoring:
            return events
        if self.wants_logprobs:
            self._track.add(output.text, output.logprobs)
        events += self._reader.read(self.parser.feed(output.text))
        if was_reasoning or self.parser.is_reasoning:
            self.tally.reasoning_tokens += output.n_tokens
        return events

    @property
    def is_scoring(self) -> bool:
        """Only the prompt is wanted back: the one token the engine makes is dropped."""
        return self.echo is not None and self.echo.is_all

    def _finish(self, reason: StopReason) -> list[Event]:
        events = self._tell_echo(()) + self._reader.read(self.parser.finish())
        if rest := self._track.take_rest(has_markup=self._reader.calls > 0):
            events.append(TextDelta(self.choice, "", rest))
        final: FinishReason = reason
        if self._reader.whole_calls and reason == "stop":
            final = "tool_calls"
        if self.is_scoring:
            final = "length"
            self.tally.completion_tokens = 0
        tally = self.tally
        events.append(Finished(self.choice, final, tally.completion_tokens, tally.reasoning_tokens))
        return events

    def _tell_echo(self, logprobs: tuple[TokenLogprob, ...]) -> list[Event]:
        """The prompt as the first piece of text; afterwards there is nothing more to echo."""
        if self.echo is None or self._is_echoed:
            return []
        self._is_echoed = True
        if self.wants_logprobs and not self.echo.prompt.has_added_bos:
            logprobs = (TokenLogprob(self.echo.first_token), *logprobs)
        return [TextDelta(self.choice, self.echo.prompt.text, logprobs)]
