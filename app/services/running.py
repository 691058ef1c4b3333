"""A generation that runs: its events, its usage, its end."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Self

from app.core.errors import CorralError, InternalError, QueueTimeout
from app.core.events import Event, Failed, Finished, TokenCandidate
from app.core.models import ModelInfo
from app.core.records import GenerationRecord
from app.core.usage import Usage
from app.engine.engine import OutputStream
from app.engine.messages import Output, SequenceFailed, SequenceOutput, SequenceStarted
from app.services.answer import Answer, Echo
from app.services.candidates import keep_best
from app.services.merge import OutputMerge
from app.services.plan import Plan
from app.services.ports import GenerationMetrics

SETTLE_SECONDS = 10.0


class Generation:
    """The answers to one request, submitted to the engine.

    Iterate it for batches of events (what one engine step brought comes as one batch), or await
    `complete()`. Whoever holds it must `close()` it, which also cancels what still runs.
    """

    def __init__(
        self,
        plan: Plan,
        streams: Sequence[OutputStream],
        *,
        lease: AsyncExitStack,
        record: GenerationRecord,
        metrics: GenerationMetrics,
        accepted: float,
        keep: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self.record = record
        self._plan = plan
        self._merge = OutputMerge(streams)
        self._lease = lease
        self._metrics = metrics
        self._accepted = accepted
        self._keep = keep
        self._answers = [_make_answer(plan, choice) for choice in range(len(plan.specs))]
        self._left = len(self._answers)  # that are not over
        self._last_token: dict[int, float] = {}
        self._is_closed = False

    @property
    def model(self) -> ModelInfo:
        return self._plan.loaded.info

    @property
    def choices(self) -> int:
        """How many answers there will be."""
        return len(self._plan.prompts) * self._plan.request.n

    @property
    def usage(self) -> Usage:
        """Of all answers so far. A prompt counts once, however many answers it gets."""
        tallies = [answer.tally for answer in self._answers]
        return Usage(
            prompt_tokens=sum(len(prompt.tokens) for prompt in self._plan.prompts),
            completion_tokens=sum(tally.completion_tokens for tally in tallies),
            cached_tokens=sum(tally.cached_tokens for tally in tallies[:: self._plan.candidates]),
            reasoning_tokens=sum(tally.reasoning_tokens for tally in tallies),
            accepted_prediction_tokens=sum(tally.accepted_tokens for tally in tallies),
            rejected_prediction_tokens=sum(tally.rejected_tokens for tally in tallies),
        )

    async def wait_admitted(self, grace: float) -> None:
        """Until a sequence left the queue, or `grace` seconds. Raises what ended the wait badly."""
        try:
            async with asyncio.timeout(grace):
                await self._merge.wait()
        except TimeoutError:
            return
        first = self._merge.first
        if isinstance(first, SequenceFailed):
            self._end(first.error.code)
            raise first.error

    async def admitted(self, grace: float) -> Self:
        """Itself, after `wait_admitted`; closed where that ended badly."""
        try:
            await self.wait_admitted(grace)
        except BaseException:
            self.close()
            raise
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Event]:
        while self._left:
            if batch := await self._next_batch():
                return batch
        raise StopAsyncIteration

    async def complete(self) -> list[Event]:
        """All events; the best candidates only. Raises the error that ended an answer."""
        events: list[Event] = []
        async for batch in self:
            for event in batch:
                if isinstance(event, Failed):
                    raise event.error
                events.append(event)
        ranks = [answer.tally.mean_logprob for answer in self._answers]
        return keep_best(events, self._plan, ranks)

    def close(self) -> None:
        """Cancel what still runs, and give the model back once the engine has let go."""
        if self._is_closed:
            return
        self._is_closed = True
        self.record.total_seconds = self.record.total_seconds or self._elapsed()
        self._count()
        self._metrics.observe_generation(self.record)
        self._merge.cancel()
        self._keep(asyncio.create_task(self._settle()))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def _next_batch(self) -> list[Event]:
        outputs = await self._merge.take()
        if not outputs:
            raise InternalError("The engine ended an answer without saying how.")
        self._time_tokens(outputs)
        batch: list[Event] = []
        for index, output in outputs:
            answer = self._answers[index]
            if isinstance(output, SequenceStarted):
                self._note_start(output)
            events = answer.read(output)
            batch += events
            last = events[-1] if events else None
            if isinstance(last, Failed):
                self._fail(last.error)
                break
            if isinstance(last, Finished):
                self.record.finish_reasons.append(last.reason)
                self._left -= 1
        if not self._left and self.record.outcome == "abort":
            self._end(self.record.finish_reasons[0])
        return batch

    def _note_start(self, started: SequenceStarted) -> None:
        if self.record.queue_seconds is None:
            self.record.queue_seconds = started.queue_seconds
        self._metrics.observe_queue(self.record.model, started.queue_seconds)

    def _time_tokens(self, outputs: Sequence[tuple[int, Output]]) -> None:
        """Tokens that came together took equally long."""
        now = self._elapsed()
        counts: dict[int, int] = {}
        for index, output in outputs:
            if isinstance(output, SequenceOutput):
                counts[index] = counts.get(index, 0) + output.n_tokens
        for index, n_tokens in counts.items():
            if n_tokens:
                self._time_answer(index, n_tokens, now)

    def _time_answer(self, index: int, n_tokens: int, now: float) -> None:
        before = self._last_token.get(index)
        self._last_token[index] = now
        if before is None:
            if self.record.ttft_seconds is None:
                self.record.ttft_seconds = now
                self._metrics.observe_ttft(self.record.model, now)
            before, n_tokens = now, n_tokens - 1
        if n_tokens:
            gap = (now - before) / n_tokens
            self._metrics.observe_inter_token(self.record.model, gap, n_tokens)

    def _fail(self, error: CorralError) -> None:
        """One answer failed: the others cannot make the response whole any more."""
        self._end(error.code)
        self._left = 0
        self._merge.cancel()

    def _end(self, outcome: str) -> None:
        if outcome == QueueTimeout.code:
            self._metrics.count_rejected(self.record.model, outcome)
        self.record.outcome = outcome
        self.record.total_seconds = self._elapsed()

    def _count(self) -> None:
        usage = self.usage
        self.record.prompt_tokens = usage.prompt_tokens
        self.record.cached_tokens = usage.cached_tokens
        self.record.completion_tokens = usage.completion_tokens
        self.record.accepted_tokens = usage.accepted_prediction_tokens
        self.record.rejected_tokens = usage.rejected_prediction_tokens
        for answer in self._answers:
            for _ in range(answer.parser.malformed):
                self._metrics.count_tool_parse_failure(answer.parser.name)

    async def _settle(self) -> None:
        left = time.monotonic()
        try:
            await self._merge.settle(SETTLE_SECONDS)
            if self.record.outcome == "abort":
                self._metrics.observe_cancel(self.record.model, time.monotonic() - left)
        finally:
            await self._lease.aclose()

    def _elapsed(self) -> float:
        return time.monotonic() - self._accepted


def _make_answer(plan: Plan, choice: int) -> Answer:
    request, prompt = plan.request, plan.prompts[choice // plan.candidates]
    echo = None
    if request.echo:
        first, unknown = prompt.tokens[0], float("nan")
        # the text of the prompt spells control tokens out
        piece = plan.loaded.tokenizer.piece(first, special=True)
        echo = Echo(
            prompt=prompt,
            first_token=TokenCandidate(first, piece, unknown),
            awaits_logprobs=request.logprobs is not None and len(prompt.tokens) > 1,
            is_all=request.max_tokens == 0,
        )
    return Answer(
        choice=choice,
        spec=plan.specs[choice],
        parser=plan.make_parser(choice),
        wants_logprobs=request.logprobs is not None,
        echo=echo,
    )
