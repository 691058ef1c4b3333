"""The engine thread: drain the inbox, admit, decode one batch, choose tokens, deliver."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from app.core.errors import CorralError, Draining, EngineFailed, QueueTimeout
from app.core.events import TokenLogprob
from app.engine.messages import (
    Cancel,
    Command,
    EngineConfig,
    Output,
    PromptLogprobs,
    SequenceCancelled,
    SequenceFailed,
    SequenceFinished,
    SequenceOutput,
    SequenceStarted,
    StopReason,
    Submit,
)
from app.engine.runtime import Float32Array, Runtime
from app.engine.sampling import TokenChooser, needs_sampler
from app.engine.scheduler import Limits, Scheduler, Step
from app.engine.sequence import Sequence
from app.engine.tally import Tally

_log = logging.getLogger(__name__)

# how long an idle thread sleeps at most: its heartbeat is never older than this
_IDLE_SECONDS = 1.0


class Worker:
    """Owns the runtime. Only `send`, `stop` and `stats` may be used from other threads."""

    def __init__(
        self,
        runtime: Runtime,
        config: EngineConfig,
        deliver: Callable[[list[Output | SequenceCancelled]], None],
    ) -> None:
        """`deliver` is called on the engine thread, once per step, with all its outputs."""
        self._runtime = runtime
        self._deliver = deliver
        self._scheduler = Scheduler(
            Limits(
                max_sequences=runtime.max_sequences,
                kv_size=runtime.kv_size,
                batch_tokens=runtime.batch_capacity,
                max_outputs=runtime.max_outputs,
            ),
            config,
        )
        self._chooser = TokenChooser(runtime.vocabulary)
        self._sequences: dict[str, Sequence] = {}
        self._inbox: deque[Command] = deque()
        self._wake = threading.Event()
        self._is_stopping = False
        self._outputs: list[Output | SequenceCancelled] = []
        self._tally = Tally()
        self._publish()

    # ---- from any thread

    def send(self, command: Command) -> None:
        self._inbox.append(command)
        self._wake.set()

    def stop(self) -> None:
        self._is_stopping = True
        self._wake.set()

    # ---- engine thread

    def run(self) -> None:
        """Work until stopped. An error that is not one sequence's own ends the engine: every
        request it held fails with it, and the owner must make a new engine."""
        # a model is unloaded under its requests only when the whole server stops
        error: CorralError = Draining("The server stopped before the request was finished.")
        try:
            while not self._is_stopping:
                if not self._step():
                    self._wake.wait(_IDLE_SECONDS)
                    self._wake.clear()
        except Exception as cause:
            _log.exception("engine died")
            error = EngineFailed(f"The inference engine failed: {cause}")
        finally:
            self._end(error)

    def _step(self) -> bool:
        """Run one batch; False when there is nothing to do."""
        started = time.perf_counter()
        self._drain_inbox()
        self._expire_waiting()
        for sequence in self._scheduler.admit():
            self._start(sequence)
        step = self._plan()
        if step.n_tokens == 0:
            self._publish()
            self._flush()
            return False
        n_rows = self._fill(step)
        if self._outputs:  # who starts now learns it before the step, which may be long
            self._publish()
            self._flush()
        decoding = time.perf_counter()
        has_decoded = self._runtime.decode(step.n_tokens)
        decoded = time.perf_counter()
        if has_decoded:
            self._take(step, n_rows)
        else:
            self._make_room()
        self._publish()  # before the outputs: who sees the end of a sequence sees it counted
        self._flush()
        self._tally.count_step(decoded - decoding, time.perf_counter() - started)
        return True

    def _drain_inbox(self) -> None:
        while self._inbox:
            match self._inbox.popleft():
                case Submit(spec):
                    sequence = Sequence.from_spec(spec)
                    self._sequences[spec.id] = sequence
                    self._scheduler.enqueue(sequence)
                case Cancel(identifier):
                    sequence = self._sequences.get(identifier)
                    if sequence is not None:
                        self._drop(sequence, "abort")
                        self._outputs.append(SequenceCancelled(identifier))

    def _expire_waiting(self) -> None:
        now = time.monotonic()
        for sequence in list(self._scheduler.waiting):
            deadline = sequence.spec.queue_deadline
            if deadline is not None and now > deadline and not sequence.has_started:
                waited = now - sequence.submitted
                self._fail(
                    sequence,
                    QueueTimeout(
                        f"The request waited {waited:.1f} seconds for a free place and was given "
                        f"up. Please retry later.",
                        retry_after=max(1, round(waited)),
                    ),
                )

    def _start(self, sequence: Sequence) -> None:
        if sequence.has_started:  # parked before: its sampler and text go on
            return
        sequence.has_started = True
        spec = sequence.spec
        if needs_sampler(spec.sampling):
            sequence.sampler = self._runtime.make_sampler(spec.sampling, spec.prompt)
        waited = time.monotonic() - sequence.submitted
        self._outputs.append(SequenceStarted(spec.id, cached_tokens=0, queue_seconds=waited))
        self._tally.prompt_tokens += len(spec.prompt)

    def _plan(self) -> Step:
        step = self._scheduler.plan()
        while not self._scheduler.has_room(step) and self._park():
            step = self._scheduler.plan()
        return step

    def _fill(self, step: Step) -> int:
        """Write the step into the batch; returns how many rows ask for logits.

        Prompts come first, so that whole micro-batches hold nothing else: attention is computed
        in tiles of rows, and a tile looks at every cell that one of its rows may see.
        """
        batch, rows, at = self._runtime.batch, 0, 0
        for sequence, count in step.prefill:
            end, start = at + count, sequence.computed
            batch.token[at:end] = sequence.tokens[start : start + count]
            batch.position[at:end] = np.arange(start, start + count)
            batch.sequence[at:end] = sequence.slot
            batch.output[at:end] = 0
            sequence.logits_row = rows
            if sequence.wants_prompt_logprobs:
                batch.output[at:end] = 1
                rows += count
            elif count == sequence.remaining:
                batch.output[end - 1] = 1
                rows += 1
            sequence.batch_row = end - 1
            at = end
        for row, sequence in enumerate(step.decode):
            batch.token[at + row] = sequence.tokens[sequence.computed]
            batch.position[at + row] = sequence.computed
            batch.sequence[at + row] = sequence.slot
            sequence.batch_row, sequence.logits_row = at + row, rows + row
        batch.output[at : at + len(step.decode)] = 1
        return rows + len(step.decode)

    def _take(self, step: Step, n_rows: int) -> None:
        """Choose a token for every sequence whose known tokens are all computed now."""
        self._tally.prompt_tokens_computed += sum(count for _, count in step.prefill)
        if not n_rows:
            for sequence, count in step.prefill:
                sequence.computed += count
            return
        logits = self._runtime.logits(n_rows)
        for sequence, count in step.prefill:
            if sequence.wants_prompt_logprobs:
                self._collect_prompt_logprobs(sequence, count, logits)
                sequence.logits_row += count - 1  # the chunk's last row predicts the answer
            sequence.computed += count
        for sequence in step.decode:
            sequence.computed += 1
        for sequence in (*step.decode, *(s for s, _ in step.prefill)):
            if sequence.remaining == 0:
                token, logprob = self._chooser.choose(sequence, logits[sequence.logits_row])
                self._accept(sequence, token, logprob)

    def _collect_prompt_logprobs(
        self, sequence: Sequence, count: int, logits: Float32Array
    ) -> None:
        """Row i of the chunk predicts the token at the next position."""
        spec = sequence.spec
        known = len(sequence.prompt_logprobs)  # of tokens 1..known, from before it was parked
        first = max(sequence.computed, known)
        last = min(sequence.computed + count, len(spec.prompt) - 1)
        if first < last:
            skip = sequence.logits_row - sequence.computed
            sequence.prompt_logprobs += self._chooser.prompt_logprobs(
                list(spec.prompt[first + 1 : last + 1]),
                logits[first + skip : last + skip],
                spec.prompt_logprobs or 0,
            )
        if not sequence.wants_prompt_logprobs:
            self._outputs.append(PromptLogprobs(spec.id, tuple(sequence.prompt_logprobs)))

    def _accept(self, sequence: Sequence, token: int, logprob: TokenLogprob | None) -> None:
        """Append a chosen token, release its text, end the sequence where it must end."""
        spec, vocabulary = sequence.spec, self._runtime.vocabulary
        sequence.append(token)
        self._tally.generated_tokens += 1
        if spec.constraint is not None:
            spec.constraint.accept(token)
        if token in vocabulary.end_tokens or token in spec.stop_tokens:
            self._finish(sequence, "stop", n_tokens=1)
            return
        released = sequence.text.push(vocabulary.piece(token), logprob)
        self._outputs.append(SequenceOutput(spec.id, released.text, 1, released.logprobs))
        is_complete = spec.constraint is not None and spec.constraint.is_complete
        if released.has_stopped or is_complete:
            self._finish(sequence, "stop")
        elif sequence.generated >= spec.max_tokens:
            self._finish(sequence, "length")

    def _finish(self, sequence: Sequence, reason: StopReason, *, n_tokens: int = 0) -> None:
        """`n_tokens`: tokens that no output has counted yet (an end token has no text)."""
        rest = sequence.text.finish()
        if rest.text or rest.logprobs or n_tokens:
            self._outputs.append(
                SequenceOutput(sequence.spec.id, rest.text, n_tokens, rest.logprobs)
            )
        self._outputs.append(SequenceFinished(sequence.spec.id, reason, sequence.generated))
        self._drop(sequence, reason)

    def _fail(self, sequence: Sequence, error: CorralError) -> None:
        self._outputs.append(SequenceFailed(sequence.spec.id, error))
        self._drop(sequence, error.code)

    def _make_room(self) -> None:
        """llama.cpp found no cells although the count said there were some: park one sequence,
        or end the only one as having reached the end of its context."""
        if not self._park():
            self._finish(self._scheduler.live[0], "length")

    def _park(self) -> bool:
        """Give one sequence's cells to the others; False when only one is left."""
        sequence = self._scheduler.park()
        if sequence is None:
            return False
        self._runtime.remove(sequence.slot, -1, -1)
        sequence.leave_cache()
        self._tally.preemptions += 1
        return True

    def _drop(self, sequence: Sequence, outcome: str) -> None:
        """Forget a sequence, wherever it is, and free what it holds."""
        del self._sequences[sequence.spec.id]
        if sequence.slot >= 0:
            self._scheduler.release(sequence)
            self._runtime.remove(sequence.slot, -1, -1)
        else:
            self._scheduler.waiting.remove(sequence)
        if sequence.sampler is not None:
            sequence.sampler.close()
        self._tally.finished[outcome] += 1

    def _flush(self) -> None:
        if self._outputs:
            outputs, self._outputs = self._outputs, []
            self._deliver(outputs)

    def _publish(self) -> None:
        scheduler = self._scheduler
        self.stats = self._tally.snapshot(
            running=len(scheduler.live),
            waiting=len(scheduler.waiting),
            kv_used=scheduler.cells_used(),
            kv_total=self._runtime.kv_size,
            sequences_max=self._runtime.max_sequences,
        )

    def _end(self, error: CorralError) -> None:
        """Fail whatever is left, free the runtime, say so in the stats: first of all, so that
        what is submitted from here on is not waited for (see `Engine.submit`)."""
        self.stats = replace(self.stats, running=0, waiting=0, kv_tokens_used=0, is_alive=False)
        self._drain_inbox()
        left = list(self._sequences.values())
        self._sequences.clear()
        self._outputs += [SequenceFailed(sequence.spec.id, error) for sequence in left]
        self._flush()  # before anything that could fail: somebody waits for each of these
        for sequence in left:
            if sequence.sampler is not None:
                sequence.sampler.close()
        self._runtime.close()
