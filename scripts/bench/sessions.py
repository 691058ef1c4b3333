"""What runs on which server: one session is one server started for some workloads."""

import json
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import click

from app.cli.bench.client import ChatClient
from app.cli.bench.http import Server as Address
from app.cli.bench.http import run_quickly
from app.cli.bench.prompts import calibration_text
from app.cli.bench.records import ChatRequest
from app.cli.bench.runner import ServerUnusableError, Target, run_benchmark
from app.cli.bench.session import ProgressMeter
from app.cli.bench.workloads import Sizes, Workload, build_workloads, user
from scripts.bench.process import PeakMemory, cpu_share, resident_bytes
from scripts.bench.reuse import Prompts, measure_reuse
from scripts.bench.servers import CELLS, END_LIMIT_S, Running, Server, running
from scripts.bench.store import Store
from scripts.bench.targets import BATCHED, CORRAL

IDLE_S = 20.0
REQUEST_LIMIT_S = 180.0


class ServerDied(Exception):
    """The server ended while it was measured."""


@dataclass(frozen=True, slots=True)
class Session:
    """One server and the workloads that it gets; `prefix` goes before their names in the results.

    `has_facts`: start, memory and idle processor time are measured too. `times`: how many times the
    usual number of requests it gets.
    """

    server: Server
    model: Path
    workloads: tuple[str, ...]
    streams: tuple[int, ...]
    prefix: str = ""
    has_facts: bool = False
    times: float = 1.0

    def pending(self, store: Store, number: int) -> list[tuple[str, int]]:
        """Workloads and streams that have fewer passes than round `number` (from 0) leaves."""
        sizes = Sizes(self.streams, store.parameters.scale * self.times)
        return [
            (workload.name, workload.streams)
            for workload in build_workloads(self.workloads, sizes)
            if store.passes(self.server.label, self.prefix + workload.name, workload.streams)
            <= number
        ]


def run_round(groups: list[list[Session]], store: Store, number: int, *, has_reuse: bool) -> None:
    """Every workload once on every server that gets it; what fails is told and does not keep the
    others from running.

    The servers of a group are up together and take turns at each workload, so that a machine whose
    speed changes by the minute is the same for all of them.
    """
    for group in groups if number % 2 == 0 else groups[::-1]:
        with ExitStack() as stack:
            stands = [Stand(session, store, number) for session in group]
            for stand in stands:
                stack.callback(stand.close)
            parts = dict.fromkeys(part for stand in stands for part in stand.pending)
            for turn, part in enumerate(parts, number):
                for stand in stands if turn % 2 == 0 else stands[::-1]:
                    stand.run(part)
            if has_reuse:
                for stand in stands:
                    stand.measure_reuse()


class Stand:
    """The server of a session in one round: started when first needed, and again after it died."""

    def __init__(self, session: Session, store: Store, number: int) -> None:
        self._session, self._store, self._number = session, store, number
        self.pending = session.pending(store, number)
        self._server: Running | None = None
        self._stack = ExitStack()
        self._is_broken = False

    def close(self) -> None:
        self._server = None
        self._stack.close()

    def run(self, part: tuple[str, int]) -> None:
        """One workload, named with its streams, if it is to be run here."""
        if part in self.pending:
            self.pending.remove(part)
            self._attempt(lambda server: self._measure(server, part))

    def measure_reuse(self) -> None:
        """Once, of Corral alone: others do not count what they compute."""
        label, is_main = self._session.server.label, self._session.has_facts
        known = self._store.fact(CORRAL, "computed/unique multi-turn")
        if label == CORRAL and is_main and known is None:
            self._attempt(lambda server: _measure_reuse(self._session, server, self._store))

    def _attempt(self, measure: Callable[[Running], None]) -> None:
        label = self._session.server.label
        if self._is_broken:
            return
        try:
            server = self._server or self._start()
            measure(server)
        except (click.ClickException, ServerUnusableError, ServerDied, OSError) as problem:
            self._store.add_problem(f"{label}: {problem}")
            self._is_broken = self._server is None  # it would not start another time either
            self.close()

    def _start(self) -> Running:
        server = self._stack.enter_context(running(self._session.server))
        if self._session.has_facts:
            _measure_start(self._session, server, self._store)
        self._server = server
        return server

    def _measure(self, server: Running, part: tuple[str, int]) -> None:
        session, store = self._session, self._store
        name, streams = session.prefix + part[0], part[1]
        click.echo(
            f"round {self._number + 1}: {session.server.label}: {name}, {streams} streams", err=True
        )
        parameters = replace(
            store.parameters,
            workloads=list(session.workloads),
            streams=list(session.streams),
            seed=store.parameters.seed + self._number,
            scale=store.parameters.scale * session.times,
        )
        target = Target(
            server.url, session.server.label, session.model.stem, timeout=REQUEST_LIMIT_S
        )

        def is_wanted(workload: Workload) -> bool:
            return (workload.name, workload.streams) == part

        with PeakMemory(server.process.pid) as memory, ProgressMeter() as meter:
            report = run_quickly(run_benchmark(target, parameters, meter, wanted=is_wanted))
        row = report.rows[0]
        if server.has_ended(END_LIMIT_S if row.figures.errors else 0):
            raise ServerDied(f"the server ended during {name}, {streams} streams")
        kept = replace(report, parameters=store.parameters, rows=[replace(row, workload=name)])
        store.add_report(kept)
        if session.has_facts and row.workload == "health":
            growth = memory.growth / 1024 / row.streams
            store.add_fact(session.server.label, "sequence KiB", growth)


def _measure_start(session: Session, server: Running, store: Store) -> None:
    """Times of the start, then memory at rest; processor time when idle, once for each server."""

    def tell(name: str, value: float) -> None:
        store.add_fact(session.server.label, name, value)

    tell("ready s", server.ready_s)
    client = ChatClient(Address(server.url), session.model.stem, ignore_eos=True)
    seconds = _ask(client, "Hello", 1)
    tell("first answer s", server.ready_s + seconds)
    # A long prompt and some tokens: every buffer that one sequence needs is in memory then.
    _ask(client, calibration_text(3), 16)
    tell("ready MiB", resident_bytes(server.process.pid) / 2**20)
    if store.fact(session.server.label, "idle cpu %") is None:
        share = cpu_share(server.process.pid, IDLE_S)  # whole, for what happens every ten seconds
        tell("idle cpu %", 100 * share)


def _ask(client: ChatClient, text: str, tokens: int) -> float:
    done = run_quickly(client.complete(ChatRequest(user(text), tokens)))
    if done.error is not None:
        raise ServerUnusableError(f"the first request failed: {done.error}")
    return done.finished - done.started


def _measure_reuse(session: Session, server: Running, store: Store) -> None:
    prompts = Prompts.of(session.model)
    try:
        sizes = Sizes(session.streams, store.parameters.scale)
        found = run_quickly(measure_reuse(server.url, session.model.stem, prompts, sizes))
    finally:
        prompts.model.close()
    for workload, ratio in found.items():
        store.add_fact(CORRAL, f"computed/unique {workload}", ratio)


def run_batched_bench(binary: Path, model: Path, threads: int, store: Store) -> None:
    """The output rate of 16 streams without a server, for prompts and answers as in `decode`."""
    lengths = ["-npp", "64", "-ntg", "128", "-npl", "16", "--output-format", "jsonl"]
    basics = ["-m", str(model.resolve()), "-c", str(CELLS), "-t", str(threads), "-kvu"]
    try:
        answer = subprocess.run(
            [str(binary.resolve()), *basics, *lengths],
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        lines = [line for line in answer.stdout.splitlines() if line.startswith("{")]
        store.add_fact(BATCHED, "tok/s", float(json.loads(lines[-1])["speed_tg"]))
    except (subprocess.SubprocessError, OSError, ValueError, LookupError) as problem:
        store.add_problem(f"{BATCHED}: {problem}")
