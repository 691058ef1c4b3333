"""The whole engine, thread included, over a fake runtime that keeps llama.cpp's ordering rules."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from app.core.errors import BadRequest, EngineFailed, QueueFull, QueueTimeout
from app.core.requests import SamplingParams
from app.engine import engine as engine_module
from app.engine.engine import Engine, OutputStream
from app.engine.messages import (
    EngineConfig,
    Output,
    PromptLogprobs,
    SequenceFailed,
    SequenceFinished,
    SequenceOutput,
    SequenceSpec,
    SequenceStarted,
)
from tests.support.fake_runtime import FakeRuntime, FakeVocabulary, answer
from tests.support.streams import outputs_of

GREEDY = SamplingParams(temperature=0)


def spec(name: str, prompt: list[int], max_tokens: int = 10, **fields: object) -> SequenceSpec:
    values: dict[str, object] = {"sampling": GREEDY, **fields}
    return SequenceSpec(id=name, prompt=tuple(prompt), max_tokens=max_tokens, **values)  # pyright: ignore[reportArgumentType]


async def read(stream: OutputStream) -> list[Output]:
    return [output async for output in outputs_of(stream)]


def text_of(outputs: list[Output]) -> str:
    return "".join(o.text for o in outputs if isinstance(o, SequenceOutput))


def spelled(tokens: list[int]) -> str:
    return b"".join(FakeVocabulary().piece(t) for t in tokens).decode()


class Rig:
    """An engine over a fake runtime, closed after the test."""

    def __init__(self) -> None:
        self.engines: list[Engine] = []

    def start(self, runtime: FakeRuntime, max_queue: int = 64) -> Engine:
        config = EngineConfig(max_queue=max_queue, mixed_step_tokens=16, step_tokens=32)
        engine = Engine(runtime, config)
        self.engines.append(engine)
        return engine.start()


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    for engine in made.engines:
        await engine.close()


async def test_quick_steps_come_together_and_the_end_at_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_PACE", 60.0)
    engine = rig.start(FakeRuntime())
    async with asyncio.timeout(30):
        for name in "ab":  # the pace is kept from one sequence to the next
            (stream,) = engine.submit((spec(name, [1, 2, 3], max_tokens=40),))
            batches: list[list[Output]] = []
            while not stream.is_closed:
                await stream.news.wait()
                stream.news.clear()
                batches.append(stream.take())
            assert len(batches) <= 3
            outputs = [output for batch in batches for output in batch]
            assert sum(isinstance(output, SequenceOutput) for output in outputs) == 40
            assert isinstance(outputs[-1], SequenceFinished)


async def test_one_sequence_is_answered_whole(rig: Rig) -> None:
    engine = rig.start(FakeRuntime())
    (stream,) = engine.submit((spec("a", [1, 2, 3]),))
    outputs = await read(stream)
    assert isinstance(outputs[0], SequenceStarted)
    assert text_of(outputs) == spelled(answer([1, 2, 3], 10))
    assert outputs[-1] == SequenceFinished("a", "length", 10)


async def test_many_sequences_share_steps_and_none_is_mixed_up(rig: Rig) -> None:
    runtime = FakeRuntime(max_sequences=4)
    engine = rig.start(runtime)
    prompts = [[i % 26 + 1] * (3 + 7 * i) for i in range(8)]
    streams = [engine.submit((spec(str(i), p, 20),))[0] for i, p in enumerate(prompts)]
    results = await asyncio.gather(*(read(s) for s in streams))
    for prompt, outputs in zip(prompts, results, strict=True):
        assert text_of(outputs) == spelled(answer(prompt, 20))
    assert len(runtime.steps) < 8 * 20, "sequences must be batched"
    assert max(runtime.steps) <= 32


async def test_requests_whose_sum_exceeds_the_cache_all_succeed(rig: Rig) -> None:
    engine = rig.start(FakeRuntime(kv_size=96, max_sequences=4))
    prompts = [[i + 1] * 20 for i in range(6)]
    streams = [engine.submit((spec(str(i), p, 60),))[0] for i, p in enumerate(prompts)]
    results = await asyncio.gather(*(read(s) for s in streams))
    for prompt, outputs in zip(prompts, results, strict=True):
        assert text_of(outputs) == spelled(answer(prompt, 60))
        assert sum(isinstance(o, SequenceStarted) for o in outputs) == 1
    assert engine.stats.preemptions > 0


async def test_a_refused_decode_parks_a_sequence_and_loses_nothing(rig: Rig) -> None:
    runtime = FakeRuntime()
    runtime.refuse_decodes = 1
    runtime.gate.clear()
    engine = rig.start(runtime)
    streams = engine.submit((spec("a", [1, 2]), spec("b", [3])))
    runtime.gate.set()
    results = await asyncio.gather(*(read(s) for s in streams))
    assert text_of(results[0]) == spelled(answer([1, 2], 10))
    assert text_of(results[1]) == spelled(answer([3], 10))


async def test_end_of_context_is_finish_reason_length(rig: Rig) -> None:
    runtime = FakeRuntime()
    runtime.refuse_decodes = 1
    engine = rig.start(runtime)
    (stream,) = engine.submit((spec("a", [1]),))
    assert (await read(stream))[-1] == SequenceFinished("a", "length", 0)


async def test_cancel_frees_the_cache_within_a_step(rig: Rig) -> None:
    runtime = FakeRuntime(kv_size=1_000_000)
    engine = rig.start(runtime)
    (stream,) = engine.submit((spec("a", [1, 2], 900_000),))
    async for output in outputs_of(stream):
        if isinstance(output, SequenceOutput):
            break
    runtime.gate.clear()  # hold the engine: how far it runs ahead of this thread is chance
    steps = len(runtime.steps)
    stream.cancel()
    stream.cancel()
    runtime.gate.set()
    await read(stream)  # ends when the engine has let go
    assert engine.stats.running == 0
    assert len(runtime.steps) - steps < 100
    assert runtime.cache == {}
    assert engine.stats.finished == {"abort": 1}


async def test_cancel_while_waiting_never_starts(rig: Rig) -> None:
    runtime = FakeRuntime(max_sequences=1)
    runtime.gate.clear()
    engine = rig.start(runtime)
    (first,) = engine.submit((spec("a", [1]),))
    (second,) = engine.submit((spec("b", [2]),))
    second.cancel()
    runtime.gate.set()
    await read(first)
    assert await read(second) == []
    assert engine.stats.prompt_tokens == 1


async def test_a_full_queue_refuses_all_or_nothing(rig: Rig) -> None:
    runtime = FakeRuntime(max_sequences=1)
    runtime.gate.clear()
    engine = rig.start(runtime, max_queue=2)
    streams = engine.submit((spec("a", [1]), spec("b", [2])))
    with pytest.raises(QueueFull) as refused:
        engine.submit((spec("c", [3]), spec("d", [4])))
    assert refused.value.retry_after is not None
    assert refused.value.retry_after >= 1
    streams += engine.submit((spec("e", [5]),))
    runtime.gate.set()
    for stream in streams:
        assert isinstance((await read(stream))[-1], SequenceFinished)


async def test_more_than_could_ever_fit_is_the_callers_mistake(rig: Rig) -> None:
    engine = rig.start(FakeRuntime(max_sequences=1), max_queue=2)
    with pytest.raises(BadRequest, match="at most 3 at once"):
        engine.submit(tuple(spec(str(i), [1]) for i in range(4)))


async def test_ignore_eos_leaves_stop_tokens_alone(rig: Rig) -> None:
    engine = rig.start(FakeRuntime())
    tokens = answer([1, 2, 3], 10)
    stops = frozenset({tokens[4]})
    (stream,) = engine.submit((spec("a", [1, 2, 3], stop_tokens=stops, ignore_eos=True),))
    assert text_of(await read(stream)) == spelled(tokens[: tokens.index(tokens[4])])
    (held,) = engine.submit((spec("b", [1, 2, 3], stop_tokens=stops, min_tokens=10),))
    outputs = await read(held)
    assert outputs[-1] == SequenceFinished("b", "length", 10)


async def test_outputs_arrive_even_when_the_runtime_cannot_be_closed(
    rig: Rig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("cannot close")

    def ignore(_: object) -> None: ...

    monkeypatch.setattr("threading.excepthook", ignore)
    runtime = FakeRuntime()
    monkeypatch.setattr(runtime, "close", fail)
    runtime.fail_with = EngineFailed("status -3")
    (stream,) = rig.start(runtime).submit((spec("a", [1]),))
    assert isinstance((await read(stream))[-1], SequenceFailed)
    assert "engine died" in caplog.text


async def test_waiting_past_the_deadline_fails_with_queue_timeout(rig: Rig) -> None:
    runtime = FakeRuntime(max_sequences=1, kv_size=100_000)
    engine = rig.start(runtime)
    (first,) = engine.submit((spec("a", [1], 50_000),))
    (second,) = engine.submit((spec("b", [2], queue_deadline=time.monotonic() + 0.05),))
    outputs = await read(second)
    first.cancel()
    assert isinstance(outputs[-1], SequenceFailed)
    assert isinstance(outputs[-1].error, QueueTimeout)


async def test_an_engine_that_dies_fails_everyone_and_says_so(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = FakeRuntime()
    runtime.fail_with = EngineFailed("status -3")
    engine = rig.start(runtime)
    streams = engine.submit((spec("a", [1]), spec("b", [2])))
    for stream in streams:
        last = (await read(stream))[-1]
        assert isinstance(last, SequenceFailed)
        assert "status -3" in last.error.message
    assert not engine.stats.is_alive
    await engine.close()
    assert runtime.is_closed
    with pytest.raises(EngineFailed):
        engine.submit((spec("c", [1]),))
    assert "engine died" in caplog.text


async def test_stop_strings_and_stop_tokens(rig: Rig) -> None:
    engine = rig.start(FakeRuntime())
    tokens = answer([1, 2, 3], 10)
    letters = spelled(tokens)
    (by_text,) = engine.submit((spec("a", [1, 2, 3], stop=(letters[3:5],)),))
    outputs = await read(by_text)
    assert text_of(outputs) == letters[: letters.find(letters[3:5])]
    assert isinstance(outputs[-1], SequenceFinished)
    assert outputs[-1].reason == "stop"
    (by_token,) = engine.submit((spec("b", [1, 2, 3], stop_tokens=frozenset({tokens[4]})),))
    assert text_of(await read(by_token)) == spelled(tokens[: tokens.index(tokens[4])])


async def test_prompt_logprobs_cover_the_prompt_also_when_parked(rig: Rig) -> None:
    engine = rig.start(FakeRuntime(kv_size=64, max_sequences=3, max_outputs=6))
    prompt = [1, 2, 3, *answer([1, 2, 3], 17)]
    streams = engine.submit(
        tuple(spec(str(i), prompt, 30, prompt_logprobs=2, logprobs=0) for i in range(3))
    )
    for outputs in await asyncio.gather(*(read(s) for s in streams)):
        (found,) = [o for o in outputs if isinstance(o, PromptLogprobs)]
        assert [item.token.id for item in found.logprobs] == prompt[1:]
        assert all(len(item.top) == 2 for item in found.logprobs)
        likely = [item.token.logprob > -1 for item in found.logprobs]
        assert likely[2:] == [True] * 17, "the answer's own tokens are the likely ones"
        assert text_of(outputs) == spelled(answer(prompt, 30))


async def test_logprobs_come_with_their_tokens(rig: Rig) -> None:
    engine = rig.start(FakeRuntime())
    (stream,) = engine.submit((spec("a", [1], 5, logprobs=3),))
    outputs = [o for o in await read(stream) if isinstance(o, SequenceOutput)]
    chosen = [item for o in outputs for item in o.logprobs]
    assert [item.token.id for item in chosen] == answer([1], 5)
    assert all(item.top[0].id == item.token.id and len(item.top) == 3 for item in chosen)


async def test_logit_bias_changes_the_choice(rig: Rig) -> None:
    engine = rig.start(FakeRuntime())
    biased = SamplingParams(temperature=0, logit_bias=((5, 100.0),))
    (stream,) = engine.submit((spec("a", [1], 3, sampling=biased),))
    assert text_of(await read(stream)) == "eee"


async def test_samplers_are_closed_with_their_sequences(rig: Rig) -> None:
    runtime = FakeRuntime()
    engine = rig.start(runtime)
    (stream,) = engine.submit((spec("a", [1], 3, sampling=SamplingParams(temperature=1)),))
    assert text_of(await read(stream)) == spelled(answer([1], 3))
    assert [s.is_closed for s in runtime.samplers] == [True]


async def test_unloading_fails_what_still_runs(rig: Rig) -> None:
    runtime = FakeRuntime(kv_size=100_000)
    engine = rig.start(runtime)
    (stream,) = engine.submit((spec("a", [1], 50_000),))
    await anext(outputs_of(stream))
    await engine.close()
    last = (await read(stream))[-1]
    assert isinstance(last, SequenceFailed)
    assert runtime.is_closed
