"""Load a server with everything at once for a long time; check every answer and its memory.

    python -m scripts.soak --url http://127.0.0.1:11434 --pid PID --minutes 30

The number of clients swings between `--low` and `--high`. Each client sends one request after
another: whole and streamed chats, long prompts, prompts with a beginning in common, answers under a
JSON schema, several answers at once, and requests that it gives up. Exits with 1 when an answer was
wrong, a request failed, or the server still works on something after all clients have left.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import click
import orjson

from app.cli.bench.client import EventReader, api_path, list_models, raise_for_refusal
from app.cli.bench.events import Answer, BadAnswerError, as_object, as_objects, parse_object
from app.cli.bench.http import NoAnswerError, Server, run_quickly
from app.cli.bench.prompts import Calibration, PromptWriter
from app.cli.bench.records import Message
from app.cli.bench.schema import SCHEMA, mismatch
from scripts.bench.process import resident_bytes

SWING_S = 240.0
"""Time from the fewest clients to the most and back."""
SETTLE_S = 30.0
KEPT_ERRORS = 20
SCHEMA_FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA},
}
Body = dict[str, Any]


class Left(Exception):
    """The client has read enough and closes the connection."""


def clients_at(seconds: float, low: int, high: int) -> int:
    """How many clients there are so long after the start: up and down in straight lines."""
    share = seconds % SWING_S / SWING_S
    return low + round((high - low) * (1 - abs(2 * share - 1)))


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes in RAM so long after the start, and how many of them keep earlier prompts."""

    seconds: float
    resident: int
    cached: int


@dataclass
class Tally:
    """What came back, and how much memory the server had."""

    done: Counter[str] = field(default_factory=Counter[str])
    errors: list[str] = field(default_factory=list[str])
    memory: list[Memory] = field(default_factory=list[Memory])

    def progress(self, passed: float) -> str:
        """One line for people who wait."""
        memory = f", {self.memory[-1].resident / 2**20:.1f} MiB" if self.memory else ""
        requests, errors = self.done.total(), len(self.errors)
        return f"{passed:.0f} s: {requests} requests, {errors} errors{memory}"

    def memory_lines(self, warm_s: float) -> Iterator[str]:
        """Memory at the start, after `warm_s` and at the end, the growth since then in percent;
        all of it, and what the prefix cache leaves of it."""
        if not self.memory:
            yield "memory: not measured (no --pid)"
            return
        warm = next((seen for seen in self.memory if seen.seconds >= warm_s), self.memory[-1])
        moments = (self.memory[0], warm, self.memory[-1])
        for name, cached_share in (("memory", 0), ("without the prefix cache", 1)):
            sizes = [seen.resident - cached_share * seen.cached for seen in moments]
            start, then, end = (f"{size / 2**20:.1f} MiB" for size in sizes)
            yield (
                f"{name}: {start} at the start, {then} after {warm_s:.0f} s, {end} at the end "
                f"({100 * (sizes[2] / sizes[1] - 1):+.2f} % since then)"
            )


def check_choices(body: Body, reply: Body) -> None:
    """Raise BadAnswerError unless a whole answer is what `body` asked for."""
    choices = as_objects(reply.get("choices"))
    if len(choices) != body.get("n", 1):
        raise BadAnswerError(f"{len(choices)} choices instead of {body.get('n', 1)}")
    for choice in choices:
        text = as_object(choice.get("message")).get("content") or ""
        check_end(body, [str(choice.get("finish_reason"))], text)
    usage = as_object(reply.get("usage"))
    check_length(body, usage.get("completion_tokens", 0))


def check_end(body: Body, reasons: list[str], text: str) -> None:
    """Raise BadAnswerError for a strange end, or a text that breaks the schema."""
    if len(reasons) != 1 or reasons[0] not in {"stop", "length"}:
        raise BadAnswerError(f"finish reasons {reasons}")
    problem = mismatch(text) if "response_format" in body else None
    if problem is not None:
        raise BadAnswerError(f"{problem} ({reasons[0]})")


def check_length(body: Body, tokens: int) -> None:
    """Raise BadAnswerError for fewer tokens than one, or more than were asked for."""
    most = body["max_tokens"] * body.get("n", 1)
    if not 1 <= tokens <= most:
        raise BadAnswerError(f"{tokens} tokens instead of 1 to {most}")


class Clients:
    """Requests of every kind to one model."""

    def __init__(self, server: Server, model: str, prompts: PromptWriter, tally: Tally) -> None:
        self._server = server
        self._path = f"{api_path(server.url)}/chat/completions"
        self._model = model
        self._prompts = prompts
        self._tally = tally
        self._kinds: dict[str, tuple[int, Callable[[Random], Awaitable[None]]]] = {
            "whole": (3, lambda rng: self._whole(self._body(rng, 60))),
            "streamed": (4, lambda rng: self._streamed(self._body(rng, 60))),
            "long prompt": (1, lambda rng: self._streamed(self._body(rng, rng.randint(800, 1500)))),
            "shared prefix": (3, lambda rng: self._streamed(self._shared(rng))),
            "schema": (2, lambda rng: self._streamed(self._bound(rng))),
            "whole schema": (1, lambda rng: self._whole(self._bound(rng))),
            "several answers": (1, lambda rng: self._whole(self._body(rng, 40) | {"n": 3})),
            "left while reading": (2, self._leave_reading),
            "left early": (1, self._leave_early),
        }

    async def run(self, number: int, is_wanted: Callable[[], bool | None]) -> None:
        """Send requests while wanted, pause while not, end when `is_wanted` gives None."""
        rng = Random(number)
        kinds = list(self._kinds)
        weights = [weight for weight, _ in self._kinds.values()]
        while (wanted := is_wanted()) is not None:
            if not wanted:
                await asyncio.sleep(0.2)
                continue
            kind = rng.choices(kinds, weights)[0]
            try:
                await self._kinds[kind][1](rng)
            except (BadAnswerError, NoAnswerError, TimeoutError) as problem:
                self._tally.errors.append(f"{kind}: {problem or 'timed out'}")
                await asyncio.sleep(0.5)
            self._tally.done[kind] += 1

    async def _whole(self, body: Body) -> None:
        reply = await self._server.post(self._path, orjson.dumps(body))
        raise_for_refusal(reply)
        check_choices(body, parse_object(reply.body))

    async def _streamed(self, body: Body, *, leave_after: int | None = None) -> None:
        """Read a stream to its end, or to so many texts and raise Left."""
        answer = Answer()

        def count() -> None:
            if leave_after is not None and len(answer.times) + 1 >= leave_after:
                raise Left

        extra = {"stream": True, "stream_options": {"include_usage": True}}
        reader = EventReader(answer, count)
        reply = await self._server.post(self._path, orjson.dumps(body | extra), reader.feed)
        raise_for_refusal(reply)
        answer.check_ended()
        check_end(body, answer.finish_reasons, "".join(answer.texts))
        check_length(body, answer.output_tokens)

    async def _leave_reading(self, rng: Random) -> None:
        try:
            await self._streamed(self._body(rng, 60), leave_after=rng.randint(1, 20))
        except Left:
            return

    async def _leave_early(self, rng: Random) -> None:
        try:
            async with asyncio.timeout(rng.uniform(0, 0.5)):
                await self._whole(self._body(rng, rng.choice((60, 1000))))
        except TimeoutError:
            return

    def _body(self, rng: Random, tokens: int) -> Body:
        text = self._prompts.prompt(tokens, str(rng.random()))
        return self._chat([{"role": "user", "content": text}], rng)

    def _shared(self, rng: Random) -> Body:
        """One of a few beginnings, sometimes as the history of a chat."""
        start = self._prompts.passage(400, f"start {rng.randint(0, 5)}")
        messages: list[Message] = [{"role": "user", "content": start}]
        if rng.random() < 0.5:
            reply = self._prompts.passage(40, f"reply {rng.randint(0, 5)}")
            messages.append({"role": "assistant", "content": reply})
            messages.append({"role": "user", "content": self._prompts.passage(20, "next")})
        messages[-1]["content"] += " " + self._prompts.passage(20, str(rng.random()))
        return self._chat(messages, rng)

    def _bound(self, rng: Random) -> Body:
        body = self._body(rng, 40)
        return body | {"response_format": SCHEMA_FORMAT, "max_tokens": 400}

    def _chat(self, messages: list[Message], rng: Random) -> Body:
        return {
            "model": self._model,
            "messages": messages,
            "max_tokens": rng.choice((1, 8, 32, 64, 128)),
            "temperature": rng.choice((0, 0.8)),
            "seed": rng.randint(0, 1000),
        }


async def soak(server: Server, pid: int | None, seconds: float, low: int, high: int) -> Tally:
    """Load the server for so long; a line each half minute tells how it goes."""
    tally = Tally()
    model = (await list_models(server))[0]
    clients = Clients(server, model, PromptWriter(Calibration.assumed(), seed=0), tally)
    started = time.monotonic()

    def is_wanted(number: int) -> bool | None:
        passed = time.monotonic() - started
        return None if passed >= seconds else number < clients_at(passed, low, high)

    async def watch() -> None:
        told = 0.0
        while True:
            passed = time.monotonic() - started
            if pid is not None:
                tally.memory.append(await read_memory(server, pid, passed))
            if passed - told >= 30:
                told = passed
                click.echo(tally.progress(passed), err=True)
            await asyncio.sleep(2)

    watching = asyncio.create_task(watch())
    runs = (clients.run(number, lambda number=number: is_wanted(number)) for number in range(high))
    await asyncio.gather(*runs)
    if not await _is_idle(server):
        tally.errors.append("the server still works on something")
    if pid is not None:
        tally.memory.append(await read_memory(server, pid, time.monotonic() - started))
    watching.cancel()
    return tally


async def read_memory(server: Server, pid: int, seconds: float) -> Memory:
    """Memory of the process now."""
    cached = await _gauges(server, "corral_prefix_cache_bytes")
    in_ram = sum(value for labels, value in cached if 'tier="disk"' not in labels)
    return Memory(seconds, resident_bytes(pid), round(in_ram))


async def _is_idle(server: Server) -> bool:
    """Whether no sequence runs or waits any more, after a while at most."""
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline:
        running = await _gauges(server, "corral_requests_running")
        waiting = await _gauges(server, "corral_requests_waiting")
        if not any(value for _, value in [*running, *waiting]):
            return True
        await asyncio.sleep(0.5)
    return False


async def _gauges(server: Server, name: str) -> list[tuple[str, float]]:
    """Labels and values of a metric; none where the server does not answer."""
    try:
        lines = (await server.root.get("/metrics")).body.decode().splitlines()
    except (NoAnswerError, TimeoutError):
        return []
    parts = (
        line.removeprefix(name).rpartition(" ") for line in lines if line.startswith(f"{name}{{")
    )
    return [(labels, float(value)) for labels, _, value in parts]


@click.command()
@click.option("--url", default="http://127.0.0.1:11434", show_default=True)
@click.option("--pid", type=int, help="Process whose memory is watched.")
@click.option("--api-key", envvar="CORRAL_BENCH_API_KEY", help="Sent as a bearer token.")
@click.option("--minutes", default=30.0, show_default=True)
@click.option("--low", default=16, show_default=True, type=click.IntRange(1))
@click.option("--high", default=64, show_default=True, type=click.IntRange(1))
@click.option("--warm-up", default=5.0, show_default=True, help="Minutes before memory counts.")
def main(
    *,
    url: str,
    pid: int | None,
    api_key: str | None,
    minutes: float,
    low: int,
    high: int,
    warm_up: float,
) -> None:
    """Load the first model of the server at URL and check every answer."""
    seconds = 60 * minutes
    tally = run_quickly(soak(Server(url, api_key, timeout=300), pid, seconds, low, high))
    for kind, count in sorted(tally.done.items()):
        click.echo(f"{kind:20} {count:8d}")
    click.echo(f"{'all':20} {tally.done.total():8d}")
    for line in tally.memory_lines(min(60 * warm_up, seconds / 3)):
        click.echo(line)
    click.echo(f"errors: {len(tally.errors)}")
    for text, count in Counter(tally.errors).most_common(KEPT_ERRORS):
        click.echo(f"  {count} x {text}")
    sys.exit(1 if tally.errors else 0)


if __name__ == "__main__":
    main()
