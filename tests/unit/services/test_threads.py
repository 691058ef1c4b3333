"""What happens off the event loop, and to leases meanwhile."""

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from app.core.messages import Message, Tool, ToolCall
from app.core.requests import (
    Caller,
    ChatPrompt,
    EmbeddingRequest,
    GenerationRequest,
    Prompt,
    TextPrompt,
    TokenPrompt,
)
from app.services.embeddings import EmbeddingService
from app.services.generation import GenerationService
from app.services.threads import run_in_thread
from app.services.weight import is_heavy
from tests.unit.services.scripted import (
    ByteTokenizer,
    RecordingMetrics,
    ScriptedEngine,
    ScriptedPool,
)

USER = Message("user", "Hi")
LONG = "x" * 100_000
CALLER = Caller("req_1")


def ask(prompt: Prompt, **fields: Any) -> GenerationRequest:
    return GenerationRequest(model="tiny", prompts=(prompt,), caller=CALLER, **fields)


async def test_results_and_errors_come_through() -> None:
    assert await run_in_thread(lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        await run_in_thread(lambda: 1 // 0)


async def test_who_is_cancelled_waits_for_the_thread() -> None:
    started, may_end = threading.Event(), threading.Event()
    ended: list[bool] = []

    def work() -> None:
        started.set()
        may_end.wait(5)
        ended.append(True)

    task = asyncio.create_task(run_in_thread(work))
    while not started.is_set():  # noqa: ASYNC110  # set by a thread
        await asyncio.sleep(0.001)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended


class SlowTokenizer(ByteTokenizer):
    def __init__(self) -> None:
        super().__init__()
        self.started = threading.Event()
        self.is_busy = False

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        self.is_busy = True
        self.thread = threading.get_ident()
        self.started.set()
        time.sleep(0.1)
        self.is_busy = False
        return [1, 2, 3]

    def detokenize(self, tokens: Sequence[int]) -> str:
        return ""


@pytest.mark.parametrize("kind", ["generation", "prediction", "embedding"])
async def test_a_lease_outlives_the_thread(kind: str) -> None:
    tokenizer = SlowTokenizer()
    pool = ScriptedPool(ScriptedEngine(), tokenizer=tokenizer)
    if kind == "generation":
        work = GenerationService(pool, RecordingMetrics()).start(ask(TextPrompt(LONG)))
    elif kind == "prediction":
        asked = ask(TokenPrompt((1,)), prediction=LONG)
        work = GenerationService(pool, RecordingMetrics()).start(asked)
    else:
        request = EmbeddingRequest("tiny", (TextPrompt("a"),), CALLER)
        work = EmbeddingService(pool).embed(request)
    task = asyncio.ensure_future(work)
    while not tokenizer.started.is_set():  # noqa: ASYNC110  # set by a thread
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not tokenizer.is_busy
    assert tokenizer.thread != threading.get_ident() or kind == "embedding"
    assert pool.leases == 0


DEEP: dict[str, Any] = {"a": [{"b": LONG}]}
HEAVY: dict[str, Prompt] = {
    "text": TextPrompt(LONG),
    "suffix": TextPrompt("", suffix=LONG),
    "ids": TokenPrompt((1,) * 100_000),
    "content": ChatPrompt((Message("user", LONG),)),
    "reasoning": ChatPrompt((Message("assistant", reasoning=LONG), USER)),
    "arguments": ChatPrompt((Message("assistant", tool_calls=(ToolCall("1", "f", LONG),)), USER)),
    "many messages": ChatPrompt((USER,) * 10_000),
    "description": ChatPrompt((USER,), (Tool("f", LONG),)),
    "parameters": ChatPrompt((USER,), (Tool("f", None, DEEP),)),
    "many tools": ChatPrompt((USER,), (Tool("f"),) * 10_000),
    "variables": ChatPrompt((USER,), template_kwargs={"x": [1] * 10_000}),
}


@pytest.mark.parametrize("prompt", HEAVY.values(), ids=HEAVY.keys())
def test_everything_has_its_weight(prompt: Prompt) -> None:
    assert is_heavy(ask(prompt))


def test_what_is_light() -> None:
    assert not is_heavy(ask(TextPrompt("x" * 1000)))
    assert not is_heavy(ask(ChatPrompt((USER,) * 20, (Tool("f", "does f", {"a": {}}),))))
    assert is_heavy(ask(TextPrompt("x"), sampling={"logit_bias": ((1, 1.0),) * 20_000}))


async def test_a_slow_template_does_not_keep_the_loop() -> None:
    """It looks light, so it is begun on the loop, and soon goes on in a thread."""
    slow = "{% for a in range(999) %}{% for b in range(999) %}{% endfor %}{% endfor %}x"
    pool = ScriptedPool(ScriptedEngine(), template=slow)
    loaded = pool.loaded
    pool.__class__ = type("Fixed", (ScriptedPool,), {"loaded": loaded})
    service = GenerationService(pool, RecordingMetrics())
    task = asyncio.create_task(service.start(ask(ChatPrompt((USER,)))))
    longest, before = 0.0, time.process_time()  # other processes may hold up this one
    while not task.done():
        await asyncio.sleep(0.001)
        longest, before = max(longest, time.process_time() - before), time.process_time()
    (await task).close()
    await service.settled()
    assert longest < 0.15
