"""The engine thread: drain the inbox, admit, decode one batch, choose tokens, deliver."""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace

from app.core.adapters import NO_ADAPTERS, AdapterSet
from app.core.errors import CorralError, Draining, EngineFailed, QueueTimeout
from app.engine.budget import PrefillBudget
from app.engine.harvest import Ending, Harvest
from app.engine.messages import (
    Cancel,
    Command,
    EngineConfig,
    Output,
    SequenceCancelled,
    StopReason,
    Submit,
)
from app.engine.outcome import Outcomes
from app.engine.placement import Attached, Placement
from app.engine.prefix.store import ModelPrefixes
from app.engine.runtime import Runtime
from app.engine.sampling import TokenChooser, make_sampler
from app.engine.scheduler import Limits, Scheduler
from app.engine.sequence import Sequence
from app.engine.speculation.speculator import Speculator, make_drafters
from app.engine.step import Step
from app.engine.step_times import StepTimes
from app.engine.tally import Levels, Tally
from app.engine.turns import choose_turn_steps

_log = logging.getLogger(__name__)

# how long an idle thread sleeps at most: its heartbeat is never older than this
_IDLE_SECONDS = 1.0
# between two snapshots of the stats while sequences neither come nor go
_STATS_SECONDS = 0.01


class Worker:
    """Owns the runtime. Only `send`, `stop` and `stats` may be used from other threads."""

    def __init__(
        self,
        runtime: Runtime,
        config: EngineConfig,
        deliver: Callable[[list[Output | SequenceCancelled]], None],
        prefixes: ModelPrefixes | None = None,
        draft: Runtime | None = None,
    ) -> None:
        """`deliver` is called on the engine thread, once per step, with all its outputs. `draft`:
        a smaller model that guesses ahead."""
        self._runtime = runtime
        self._deliver = deliver
        self._wake = threading.Event()
        self._placement = Placement(runtime, prefixes, self._wake.set)
        limits = Limits(
            max_sequences=runtime.max_sequences,
            kv_size=runtime.kv_size,
            batch_tokens=runtime.batch_capacity,
            max_outputs=runtime.max_outputs,
            shares_cells=runtime.memory.shares_cells,
            mixes_steps=config.mixes_steps,
            computes_runs=runtime.memory.computes_runs,
        )
        self._scheduler = Scheduler(limits, self._placement.cells, self._placement.expected_share)
        self._times = StepTimes()
        self._budget = PrefillBudget(
            self._times,
            target_seconds=config.step_seconds,
            start=config.mixed_step_tokens,
            most=config.step_tokens,
        )
        self._speculator = Speculator(
            make_drafters(runtime.memory, draft),
            self._times,
            default=config.speculation,
            most=config.draft_tokens,
            is_gated=config.gates_speculation,
        )
        self._outcomes = Outcomes(runtime.vocabulary)
        self._config = config
        self._adapters: AdapterSet = NO_ADAPTERS  # of the runtime now
        self._sequences: dict[str, Sequence] = {}
        self._inbox: deque[Command] = deque()
        self._is_stopping = False
        self._has_news = False  # a sequence came or went since the latest snapshot of the stats
        self._tally = Tally()
        self._harvest = Harvest(
            TokenChooser(runtime.vocabulary),
            self._placement,
            self._scheduler.shares,
            self._speculator,
            self._outcomes,
            self._tally,
        )
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
                if not self.step():
                    self._wake.wait(_IDLE_SECONDS)
                    self._wake.clear()
        except Exception as cause:
            _log.exception("engine died")
            error = EngineFailed(f"The inference engine failed: {cause}")
        finally:
            self._end(error)

    def step(self) -> bool:
        """Run one batch; False when there is nothing to do."""
        started = time.perf_counter()
        self._drain_inbox()
        self._expire_waiting()
        self._admit()
        self._attach()
        step = self._plan()
        if not step.n_tokens:
            self._publish()
            self._flush()
            return False
        self._add_guesses(step)
        self._scheduler.close_gaps(step, self._room_beside(step))
        n_outputs = step.fill(self._runtime.batch)
        if self._outcomes.has_any:  # who starts now learns it before the step, which may be long
            self._publish()
            self._flush()
        has_switched = self._adapt(step)
        decoding = time.perf_counter()
        has_decoded = self._runtime.decode(step.n_rows)
        decoded = time.perf_counter()
        if has_decoded:
            for slot in step.fillers:
                self._runtime.remove(slot, -1, -1)
            self._scheduler.advance(step)
            seconds, (rows, n_prefill) = decoded - decoding, (step.n_decode, step.n_prefill)
            self._times.observe(rows, n_prefill, seconds, has_switched=has_switched)
            self._speculator.pass_time(decoded - decoding)
            logits = self._runtime.logits(n_outputs) if n_outputs else None
            for ending in self._harvest.take(step, logits):
                self._conclude(ending)
        else:
            self._make_room()
        if self._has_news or time.monotonic() > self.stats.heartbeat + _STATS_SECONDS:
            self._publish()  # before the outputs: who sees the end of a sequence sees it counted
        self._flush()
        self._tally.count_step(decoded - decoding, time.perf_counter() - started)
        return True

    def _adapt(self, step: Step) -> bool:
        """Whether the step is the first under other adapters."""
        if step.adapters == self._adapters:
            return False
        self._runtime.adapt(step.adapters)
        self._adapters = step.adapters
        self._tally.adapter_switches += 1
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
                        self._outcomes.cancel(identifier)

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

    def _admit(self) -> None:
        """Let in what fits; a sequence of higher priority pushes others back into the queue."""
        while self._scheduler.waiting:
            sequence = self._scheduler.admit()
            if sequence is None:
                outranked = self._scheduler.outranked()
                if outranked is None:
                    return
                self._park(outranked)
            elif not sequence.has_started:
                sequence.has_started = True
                sequence.queue_seconds = time.monotonic() - sequence.submitted

    def _attach(self) -> None:
        """Give newcomers what is known of their tokens; some wait for others to compute it."""
        live = self._scheduler.live
        for sequence in live:
            if sequence.is_attached:
                continue
            attached = self._placement.attach(sequence, live)
            if attached is None:
                continue
            self._scheduler.line_up(sequence)
            if sequence.is_announced:
                self._tally.resumes += 1
                lost = sequence.computed_before - attached.tokens
                self._tally.recomputed_tokens += max(lost, 0)
            else:
                self._announce(sequence, attached)
            self._runtime.seat(sequence.slot, sequence.sampler)

    def _announce(self, sequence: Sequence, attached: Attached) -> None:
        sequence.is_announced = self._has_news = True
        spec = sequence.spec
        has_guesses = self._speculator.method_of(spec) is not None
        sequence.sampler = make_sampler(self._runtime, spec, has_guesses=has_guesses)
        self._tally.prompt_tokens += len(spec.prompt)
        if attached.tier is not None:
            self._tally.cached[attached.tier] += attached.tokens
        self._outcomes.start(sequence, attached.tokens)

    def _plan(self) -> Step:
        while True:
            rows: dict[AdapterSet, int] = {}
            for sequence in self._scheduler.live:
                if sequence.is_decoding:
                    its = sequence.adapters
                    rows[its] = rows.get(its, 0) + sequence.remaining
            budget = self._budget.tokens(*rows.values())
            self._tally.prefill_budget = budget
            turn = choose_turn_steps(self._times, rows.values(), self._config.step_seconds)
            step = self._scheduler.plan(budget, turn)
            victim = None if self._scheduler.has_room(step) else self._scheduler.victim()
            if victim is None:
                return step
            self._park(victim)

    def _add_guesses(self, step: Step) -> None:
        outputs = self._runtime.max_outputs - step.n_outputs
        self._speculator.add_guesses(step, room=self._room_beside(step), outputs=outputs)

    def _room_beside(self, step: Step) -> int:
        """How many more rows a step can have."""
        free = self._runtime.kv_size - self._placement.cells.used
        return min(self._runtime.batch_capacity, free) - step.n_tokens

    def _conclude(self, ending: Ending) -> None:
        if isinstance(ending.cause, CorralError):
            self._fail(ending.sequence, ending.cause)
        else:
            self._finish(ending.sequence, ending.cause)

    def _finish(self, sequence: Sequence, reason: StopReason) -> None:
        self._outcomes.finish(sequence, reason)
        self._drop(sequence, reason)

    def _fail(self, sequence: Sequence, error: CorralError) -> None:
        self._outcomes.fail(sequence.spec.id, error)
        self._drop(sequence, error.code)

    def _make_room(self) -> None:
        """llama.cpp found no cells although the count said there were some: park one sequence,
        or end the only one as having reached the end of its context."""
        victim = self._scheduler.victim()
        if victim is not None:
            self._park(victim)
            return
        self._finish(self._scheduler.live[0], "length")

    def _park(self, sequence: Sequence) -> None:
        """Give one sequence's place to the others; it comes back with what it had computed."""
        self._scheduler.release(sequence)
        self._speculator.leave(sequence)
        self._placement.park(sequence)
        self._has_news = True
        self._tally.preemptions += 1
        self._scheduler.enqueue(sequence)

    def _drop(self, sequence: Sequence, outcome: str) -> None:
        """Forget a sequence, wherever it is, and free what it holds."""
        self._has_news = True
        del self._sequences[sequence.spec.id]
        if sequence.slot >= 0:
            self._scheduler.release(sequence)
            self._speculator.leave(sequence)
        else:
            self._scheduler.waiting.remove(sequence)
        self._placement.leave(sequence)
        if sequence.sampler is not None:
            sequence.sampler.close()
        self._tally.finished[outcome] += 1

    def _flush(self) -> None:
        outputs = self._outcomes.take()
        if outputs:
            self._deliver(outputs)

    def _publish(self) -> None:
        self._has_news = False
        scheduler = self._scheduler
        levels = Levels(
            running=len(scheduler.live),
            waiting=len(scheduler.waiting),
            parked=sum(sequence.has_started for sequence in scheduler.waiting),
            kv_used=self._placement.cells.used,
            kv_total=self._runtime.kv_size,
            sequences_max=self._runtime.max_sequences,
            adapters_running=self._count_adapters(scheduler.live),
            adapters_waiting=self._count_adapters(scheduler.waiting),
        )
        self.stats = self._tally.snapshot(levels, self._placement.store_stats())

    def _count_adapters(self, sequences: list[Sequence]) -> dict[str, int]:
        """How many of them each adapter has."""
        if not self._config.adapters:
            return {}
        found = Counter(name for sequence in sequences for name, _ in sequence.adapters)
        return {name: found[name] for name in self._config.adapters}

    def _end(self, error: CorralError) -> None:
        """Fail whatever is left, free the runtime, say so in the stats: first of all, so that
        what is submitted from here on is not waited for (see `Engine.submit`)."""
        self.stats = replace(self.stats, running=0, waiting=0, kv_tokens_used=0, is_alive=False)
        while self._inbox:
            command = self._inbox.popleft()
            if isinstance(command, Submit):
                self._sequences[command.spec.id] = Sequence.from_spec(command.spec)
            # who is cancelled now fails with the others: a lost context must not be asked for its
            # state, and what it says must not be kept
        left = list(self._sequences.values())
        self._sequences.clear()
        for sequence in left:
            self._outcomes.fail(sequence.spec.id, error)
        self._flush()  # before anything that could fail: somebody waits for each of these
        for sequence in left:
            self._placement.abandon(sequence)
            if sequence.sampler is not None:
                sequence.sampler.close()
        self._speculator.close()
        self._runtime.close()
