"""Simulate what the engine's decisions cost: the real engine and workloads, without a model.

    python -m scripts.bench_policy --scale 0.5 --step-latency 400

The worker, its scheduler and the prefix cache run as they are over the tests' fake runtime, and the
workloads are those of `corral bench`; only the clock is made up: a decode advances it by what the
step would take. `Cost` was fitted to Qwen2.5-0.5B Q4_0 on two cores, and gives what was measured
there within a tenth, crowds within a sixth. Figures are means over the seeds, which vary prompts,
the times of steps (by 5 %) and how long clients take for the next request. A run takes seconds and
gives the same figures each time, so a decision can be judged where the machine is busy; then it
must be measured.
"""

import asyncio
import heapq
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from statistics import mean
from typing import Any, cast
from unittest import mock

import click
import numpy as np

from app.cli.bench.client import ChatClient
from app.cli.bench.prompts import WORDS, Calibration, PromptWriter
from app.cli.bench.records import ChatRequest, Completion, Message
from app.cli.bench.stats import Figures, summarise
from app.cli.bench.workloads import Pass, Sizes, Workload, build_workloads
from app.core.requests import SamplingParams
from app.engine.messages import (
    EngineConfig,
    Output,
    SequenceCancelled,
    SequenceFinished,
    SequenceOutput,
    SequenceSpec,
    Submit,
)
from app.engine.prefix.store import PrefixStore
from app.engine.sequence import MOST_PENDING
from app.engine.worker import Worker
from tests.support.fake_runtime import FakeBatch, FakeRuntime

WORKLOADS = {
    "decode": 16,
    "prefill": 4,
    "shared-prefix": 8,
    "multi-turn": 4,
    "crowded-chats": 8,
    "interference": 4,
}
CROWD = "crowded-chats"
NOISE = 0.05
OVERHEAD_TOKENS = 10
"""Of the template around one user message, as `_tokens` writes it."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of a decode, which computes its rows in micro-batches of 128.

    `passes`: of so many rows that ask for logits. `prompt_token`: of one that does not. Then what
    attention adds, by row and cell in use: the sequence's own cells and those of others, in whole
    tiles of rows and row by row. A tile in which several sequences meet looks at all their cells.
    """

    rows: tuple[int, ...] = (0, 1, 2, 4, 8, 16, 32, 64)
    passes: tuple[float, ...] = (0, 11.7, 22, 30, 41, 54, 100, 190)
    prompt_token: float = 1.55
    tiled: tuple[float, float] = (0.6e-3, 0.11e-3)
    untiled: tuple[float, float] = (2.5e-3, 0.25e-3)
    step: float = 0.25
    micro_batch: int = 128
    tile: int = 64

    def decode(self, batch: FakeBatch, n_tokens: int, cells: int) -> float:
        """Of the first rows of `batch`, beside `cells` cells in use."""
        sequences, positions = batch.sequence[:n_tokens], batch.position[:n_tokens]
        is_prompt = np.bincount(sequences)[sequences] > MOST_PENDING
        return self.step + sum(
            self._micro_batch(
                positions[start : start + self.micro_batch],
                is_prompt[start : start + self.micro_batch],
                cells + min(start + self.micro_batch, n_tokens),
            )
            for start in range(0, n_tokens, self.micro_batch)
        )

    def _micro_batch(self, positions: np.ndarray, is_prompt: np.ndarray, cells: int) -> float:
        is_tiled = len(positions) >= self.tile
        own, others = self.tiled if is_tiled else self.untiled
        n_prompt, n_decode = int(is_prompt.sum()), int((~is_prompt).sum())
        read, kept = float(positions[is_prompt].sum()), float(positions[~is_prompt].sum())
        total = n_prompt * self.prompt_token + float(np.interp(n_decode, self.rows, self.passes))
        total += (read + kept) * own + (len(positions) * cells - read - kept) * others
        if is_tiled and n_prompt and n_decode:
            total += self.tile * kept * own
        return total


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class TimedRuntime(FakeRuntime):
    """Lets time pass while it decodes."""

    def __init__(self, clock: Clock, cost: Cost, seed: int, **sizes: int) -> None:
        super().__init__(**cast("Any", sizes))
        self._clock, self._cost = clock, cost
        self._random = np.random.default_rng(seed)

    def decode(self, n_tokens: int) -> bool:
        milliseconds = self._cost.decode(self.batch, n_tokens, self.cells_used)
        self._clock.now += milliseconds / 1000 * (1 + self._random.normal(0, NOISE))
        return super().decode(n_tokens)


class Simulation:
    """One engine, and the clients of one workload, in one thread."""

    def __init__(self, clock: Clock, seed: int, config: EngineConfig, **sizes: int) -> None:
        self.clock = clock
        self._pause = 0.002 * (1 + seed % 4)  # of a client between an answer and its next request
        self._numbers = count()
        self._arrivals: list[tuple[float, int, SequenceSpec]] = []
        self._streams: dict[str, asyncio.Queue[tuple[float, Output]]] = {}
        capacity = config.step_tokens + 64
        runtime = TimedRuntime(clock, Cost(), seed, batch_capacity=capacity, **sizes)
        self._worker = Worker(runtime, config, self._deliver, PrefixStore(2**30).of_model("m"))

    async def complete(
        self, request: ChatRequest, on_token: Callable[[], None] | None = None
    ) -> Completion:
        """As `ChatClient.complete`."""
        started, number = self.clock.now, next(self._numbers)
        prompt, sampling = _tokens(request.messages), SamplingParams(temperature=0)
        spec = SequenceSpec(str(number), prompt, request.max_tokens, sampling)
        heapq.heappush(self._arrivals, (started + self._pause, number, spec))
        stream = self._streams[spec.id] = asyncio.Queue()
        times: list[float] = []
        text = ""
        while not isinstance((arrival := await stream.get())[1], SequenceFinished):
            now, output = arrival
            if isinstance(output, SequenceOutput) and output.text:
                times.append(now)
                text += output.text
                if on_token is not None:
                    on_token()
        return Completion(
            started,
            self.clock.now,
            request,
            tuple(times),
            text,
            output_tokens=len(text),
            prompt_tokens=len(prompt),
        )

    async def run(self, workload: Workload, seed: int) -> Figures:
        prompts = PromptWriter(Calibration(1, OVERHEAD_TOKENS, measured=True), seed)
        requests = Pass(cast("ChatClient", self), prompts, workload.name, lambda: None)
        work = asyncio.ensure_future(workload.run(requests))
        while not work.done():
            while self._arrivals and self._arrivals[0][0] <= self.clock.now:
                self._worker.send(Submit(heapq.heappop(self._arrivals)[2]))
            if not self._worker.step() and self._arrivals:
                self.clock.now = max(self.clock.now, self._arrivals[0][0])
            for _ in range(32):  # clients read what came, and answer it
                await asyncio.sleep(0)
        return summarise(work.result(), workload.streams)

    def _deliver(self, outputs: list[Output | SequenceCancelled]) -> None:
        for output in outputs:
            self._streams[output.id].put_nowait((self.clock.now, cast("Output", output)))


def _tokens(messages: Sequence[Message]) -> tuple[int, ...]:
    """One for each word of a user and each letter of an answer, whose tokens come back so."""
    numbers = {word: number for number, word in enumerate(WORDS)}
    tokens = [1, 2, 3, 4]
    for message in messages:
        text = message["content"]
        if message["role"] == "assistant":
            tokens += [5, 9, *(ord(letter) - 96 for letter in text), 7, 8]
        else:
            tokens += [5, 6, *(1 + numbers[word] % 26 for word in text.split()), 7, 8]
    return (*tokens, 5, 9)


def simulate(name: str, config: EngineConfig, *, scale: float, seed: int) -> Figures:
    """What one pass over a workload would see."""
    clock, streams = Clock(), WORKLOADS[name]
    workload = build_workloads([name], Sizes((streams,), scale))[0]
    cells, sequences = (4096, 8) if name == CROWD else (32768, 16)
    with mock.patch.multiple(time, monotonic=clock, perf_counter=clock):
        simulation = Simulation(
            clock, seed, config, kv_size=cells, max_sequences=sequences, max_outputs=sequences + 64
        )
        return asyncio.run(simulation.run(workload, seed))


def _column(passes: list[Figures], field: str) -> float:
    return mean(getattr(figures, field) for figures in passes)


@click.command()
@click.option("--workload", "names", multiple=True, type=click.Choice(list(WORKLOADS)))
@click.option("--scale", type=click.FloatRange(0.1), default=0.5, show_default=True)
@click.option("--seeds", type=click.IntRange(1), default=8, show_default=True)
@click.option("--step-latency", type=click.IntRange(0), default=400, show_default=True)
def main(names: tuple[str, ...], scale: float, seeds: int, step_latency: int) -> None:
    """Print the figures of the workloads: rates in tokens per second, times in milliseconds."""
    config = EngineConfig(step_seconds=step_latency / 1000)
    click.echo("workload        output/s  prompt/s  TTFT p50     p99   gap p50     p99     max")
    for name in names or WORKLOADS:
        passes = [simulate(name, config, scale=scale, seed=seed) for seed in range(seeds)]
        click.echo(
            f"{name:14} {_column(passes, 'output_tokens_per_s'):9.1f} "
            f"{_column(passes, 'prompt_tokens_per_s'):9.1f} "
            f"{_column(passes, 'ttft_p50_ms'):9.0f} {_column(passes, 'ttft_p99_ms'):7.0f} "
            f"{_column(passes, 'gap_p50_ms'):9.0f} {_column(passes, 'gap_p99_ms'):7.0f} "
            f"{_column(passes, 'gap_max_ms'):7.0f}"
        )


if __name__ == "__main__":
    main()
