"""What each workload sends, and when."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from app.cli.bench.client import ChatClient
from app.cli.bench.health import probing
from app.cli.bench.prompts import PromptWriter
from app.cli.bench.records import ChatRequest, Completion, Message
from app.cli.bench.schema import SCHEMA, mismatch
from app.cli.bench.stats import Observation


@dataclass(frozen=True, slots=True)
class Pass:
    """One repeat of one workload: where requests go and what their prompts are made from."""

    client: ChatClient
    prompts: PromptWriter
    key: str
    """Names this pass, so that no other pass has the same prompts."""
    on_request: Callable[[], None]
    """Called after each finished request."""

    def prompt(self, tokens: int, index: object) -> str:
        """A user message for a prompt of `tokens` tokens, the template included."""
        return self.prompts.prompt(tokens, f"{self.key}/{index}")

    def passage(self, tokens: int, index: object) -> str:
        """A text of `tokens` tokens."""
        return self.prompts.passage(tokens, f"{self.key}/{index}")

    async def send(
        self, request: ChatRequest, on_token: Callable[[], None] | None = None
    ) -> Completion:
        """Send one request and count it as done."""
        completion = await self.client.complete(request, on_token)
        self.on_request()
        return completion

    async def send_all(self, requests: Sequence[ChatRequest], streams: int) -> list[Completion]:
        """Send the requests in order, keeping `streams` of them running."""
        waiting = iter(requests)

        async def stream() -> list[Completion]:
            return [await self.send(request) for request in waiting]

        done = await asyncio.gather(*(stream() for _ in range(streams)))
        return [completion for part in done for completion in part]


@dataclass(frozen=True, slots=True)
class Workload:
    """A named way to load a server; `requests` is the number sent in one pass."""

    name: str
    streams: int
    requests: int
    run: Callable[[Pass], Awaitable[Observation]]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much to send: `scale` multiplies request counts, `max_tokens` sets answer lengths."""

    streams: tuple[int, ...]
    scale: float = 1.0
    max_tokens: int | None = None

    def count(self, requests: int, streams: int = 1) -> int:
        """Scaled number of requests, never fewer than the streams that share them."""
        return max(streams, round(requests * self.scale))


SAMPLING: dict[str, object] = {
    "temperature": 0.8,
    "top_p": 0.95,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
}


def user(text: str) -> list[Message]:
    """A conversation of one user message."""
    return [{"role": "user", "content": text}]


async def _decode(run: Pass, *, streams: int, requests: int, max_tokens: int) -> Observation:
    prompts = [run.prompt(64, index) for index in range(requests)]
    chats = [ChatRequest(user(prompt), max_tokens) for prompt in prompts]
    return Observation.of(await run.send_all(chats, streams))


async def _prefill(run: Pass, *, streams: int, requests: int) -> Observation:
    prompts = [run.prompt(1000, index) for index in range(requests)]
    chats = [ChatRequest(user(prompt), max_tokens=8) for prompt in prompts]
    return Observation.of(await run.send_all(chats, streams))


async def _shared_prefix(run: Pass, *, streams: int, requests: int, max_tokens: int) -> Observation:
    prefix = run.prompt(1000, "prefix")
    questions = [run.passage(24, index) for index in range(requests)]
    chats = [ChatRequest(user(f"{prefix}\n\n{text}"), max_tokens) for text in questions]
    return Observation.of(await run.send_all(chats, streams))


async def _sampling(run: Pass, *, streams: int, requests: int, max_tokens: int) -> Observation:
    chats = [
        ChatRequest(user(run.prompt(64, index)), max_tokens, sampling=SAMPLING | {"seed": index})
        for index in range(requests)
    ]
    return Observation.of(await run.send_all(chats, streams))


async def _health(run: Pass, *, streams: int, max_tokens: int) -> Observation:
    """How soon the server says how it is while all its streams decode."""
    chats = [
        ChatRequest(user(run.prompt(64, index)), max_tokens=max_tokens) for index in range(streams)
    ]
    async with probing(run.client.server) as times:
        seen = Observation.of(await run.send_all(chats, streams))
    return replace(seen, probe_times=tuple(times))


@dataclass(frozen=True, slots=True)
class Chat:
    """Lengths of a conversation: the first message, each later one and each answer, in tokens."""

    first: int
    later: int
    answer: int


async def _multi_turn(
    run: Pass, *, chats: int, streams: int, turns: int, shape: Chat
) -> Observation:
    """Conversations that send their whole history each turn; `streams` of them at once, in turn."""
    places = asyncio.Semaphore(streams)

    async def chat(number: int) -> list[Completion]:
        messages: list[Message] = []
        done: list[Completion] = []
        for turn in range(turns):
            text = run.passage(shape.first if turn == 0 else shape.later, f"{number}/{turn}")
            messages = [*messages, *user(text)]
            async with places:
                done.append(await run.send(ChatRequest(messages, shape.answer)))
            messages = [*messages, {"role": "assistant", "content": done[-1].text}]
        return done

    ended = await asyncio.gather(*(chat(number) for number in range(chats)))
    return Observation.of([completion for done in ended for completion in done])


async def _interference(run: Pass, *, streams: int) -> Observation:
    """Latency of running streams while a long prompt is computed, and that prompt's own.

    Gaps are those that overlap the time from sending the long prompt to its first token; the first
    token times are the long prompt's only.
    """
    all_running = asyncio.Event()
    not_running = set(range(streams))

    async def stream(number: int) -> Completion:
        seen = 0

        def on_token() -> None:
            nonlocal seen
            seen += 1
            if seen >= 8:
                settle()

        def settle() -> None:
            not_running.discard(number)
            if not not_running:
                all_running.set()

        request = ChatRequest(user(run.prompt(64, number)), max_tokens=256)
        completion = await run.send(request, on_token)
        settle()
        return completion

    running = [asyncio.create_task(stream(number)) for number in range(streams)]
    await all_running.wait()
    late = await run.send(ChatRequest(user(run.prompt(2000, "late")), max_tokens=8))
    ended = await asyncio.gather(*running)
    until = late.token_times[0] if late.token_times else late.finished
    return Observation(
        completions=[*ended, late],
        first_token_times=[] if late.time_to_first is None else [late.time_to_first],
        gaps=[gap for completion in ended for gap in completion.gaps(late.started, until)],
    )


async def _json_schema(run: Pass, *, streams: int, requests: int) -> Observation:
    """Answers under a schema, then as long ones to prompts of the same form without it."""
    ask = "Describe one thing for sale as JSON. It has to do with these words: "

    def chat(index: object, tokens: int, schema: dict[str, object] | None) -> ChatRequest:
        return ChatRequest(user(ask + run.passage(16, index)), tokens, schema)

    # or those that come later would find how all prompts begin in a cache, those before would not
    await run.send_all([chat("first", 1, None)], 1)
    bound = [chat(index, 400, SCHEMA) for index in range(requests)]
    seen = [_checked(done) for done in await run.send_all(bound, streams)]
    lengths = [done.output_tokens for done in seen if done.error is None]
    plain = [chat(f"plain/{index}", tokens, None) for index, tokens in enumerate(lengths)]
    free = await run.send_all(plain, min(streams, len(plain)))
    # One that failed makes the rate of the others meaningless.
    return replace(Observation.of(seen), plain=() if any(done.error for done in free) else free)


def _checked(completion: Completion) -> Completion:
    """The completion, failed if its text does not follow the schema."""
    if completion.error is not None:
        return completion
    return replace(completion, error=mismatch(completion.text))


def _decode_workloads(sizes: Sizes) -> list[Workload]:
    tokens = sizes.max_tokens or 128
    workloads: list[Workload] = []
    for streams in sizes.streams:
        requests = sizes.count(max(4, 2 * streams), streams)
        run = partial(_decode, streams=streams, requests=requests, max_tokens=tokens)
        workloads.append(Workload("decode", streams, requests, run))
    return workloads


def _prefill_workloads(sizes: Sizes) -> list[Workload]:
    requests = sizes.count(8, 4)
    return [Workload("prefill", 4, requests, partial(_prefill, streams=4, requests=requests))]


def _shared_prefix_workloads(sizes: Sizes) -> list[Workload]:
    requests, tokens = sizes.count(16, 8), sizes.max_tokens or 32
    run = partial(_shared_prefix, streams=8, requests=requests, max_tokens=tokens)
    return [Workload("shared-prefix", 8, requests, run)]


def _multi_turn_workloads(sizes: Sizes) -> list[Workload]:
    turns, shape = sizes.count(5, 2), Chat(200, 50, sizes.max_tokens or 64)
    run = partial(_multi_turn, chats=4, streams=4, turns=turns, shape=shape)
    return [Workload("multi-turn", 4, 4 * turns, run)]


def _crowded_chats_workloads(sizes: Sizes) -> list[Workload]:
    chats, shape = sizes.count(24, 8), Chat(200, 40, sizes.max_tokens or 16)
    run = partial(_multi_turn, chats=chats, streams=8, turns=4, shape=shape)
    return [Workload("crowded-chats", 8, 4 * chats, run)]


def _sampling_workloads(sizes: Sizes) -> list[Workload]:
    requests, tokens = sizes.count(16, 8), sizes.max_tokens or 128
    run = partial(_sampling, streams=8, requests=requests, max_tokens=tokens)
    return [Workload("sampling", 8, requests, run)]


def _health_workloads(sizes: Sizes) -> list[Workload]:
    run = partial(_health, streams=16, max_tokens=sizes.max_tokens or 128)
    return [Workload("health", 16, 16, run)]


def _interference_workloads(_: Sizes) -> list[Workload]:
    return [Workload("interference", 4, 5, partial(_interference, streams=4))]


def _json_schema_workloads(sizes: Sizes) -> list[Workload]:
    workloads: list[Workload] = []
    for streams, usual in ((1, 4), (4, 12)):
        requests = sizes.count(usual, streams)
        run = partial(_json_schema, streams=streams, requests=requests)
        workloads.append(Workload("json-schema", streams, 1 + 2 * requests, run))
    return workloads


WORKLOADS: dict[str, Callable[[Sizes], list[Workload]]] = {
    "health": _health_workloads,
    "decode": _decode_workloads,
    "prefill": _prefill_workloads,
    "shared-prefix": _shared_prefix_workloads,
    "multi-turn": _multi_turn_workloads,
    "crowded-chats": _crowded_chats_workloads,
    "interference": _interference_workloads,
    "json-schema": _json_schema_workloads,
    "sampling": _sampling_workloads,
}


def build_workloads(names: Sequence[str], sizes: Sizes) -> list[Workload]:
    """The named workloads, in the order of `WORKLOADS`."""
    return [
        workload for name, build in WORKLOADS.items() if name in names for workload in build(sizes)
    ]
