"""Generation over a scripted engine: limits, plans, events, usage, the end."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from app.core.errors import (
    BadRequest,
    ContextLengthExceeded,
    CorralError,
    EngineFailed,
    InternalError,
    ModelNotFound,
    QueueFull,
    QueueTimeout,
    TemplateRefused,
    UnsupportedOperation,
)
from app.core.events import (
    Event,
    Failed,
    Finished,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallStart,
)
from app.core.messages import Message, Tool
from app.core.requests import (
    Caller,
    ChatPrompt,
    GenerationRequest,
    JsonObject,
    Prompt,
    SamplingOverrides,
    TextPrompt,
    TokenPrompt,
)
from app.engine.messages import SequenceSpec
from app.services.generation import GenerationService
from tests.unit.services.scripted import (
    BOS,
    EOS,
    INFO,
    ByteTokenizer,
    RecordingMetrics,
    Script,
    ScriptedEngine,
    ScriptedPool,
)

CHAT = ChatPrompt((Message("user", "Hi"),))


def ask(*prompts: Prompt, **fields: Any) -> GenerationRequest:
    return GenerationRequest(
        model="tiny", prompts=prompts or (TextPrompt("abc"),), caller=Caller("req_1"), **fields
    )


class Bench:
    def __init__(self, *scripts: Script, **pool: Any) -> None:
        self.engine = ScriptedEngine(*scripts)
        self.pool = ScriptedPool(self.engine, **pool)
        self.metrics = RecordingMetrics()
        self.service = GenerationService(self.pool, self.metrics)

    async def run(self, request: GenerationRequest) -> list[Event]:
        async with await self.service.start(request) as generation:
            events = await generation.complete()
        await self.service.settled()
        assert self.pool.leases == 0
        return events

    async def spec(self, request: GenerationRequest) -> SequenceSpec:
        await self.run(request)
        return self.engine.specs[-1]

    async def refuse(self, request: GenerationRequest, kind: type[CorralError]) -> CorralError:
        with pytest.raises(kind) as caught:
            await self.service.start(request)
        assert self.pool.leases == 0
        return caught.value


def text_of(events: list[Event], choice: int = 0) -> str:
    return "".join(e.text for e in events if isinstance(e, TextDelta) and e.choice == choice)


async def test_events_come_in_order() -> None:
    events = await Bench(Script(cached_tokens=2)).run(ask())
    assert events == [
        Started(0, 4, 2, 0.01),
        TextDelta(0, "Hel"),
        TextDelta(0, "lo"),
        Finished(0, "stop", 2),
    ]


async def test_what_one_step_brings_comes_together() -> None:
    bench = Bench(Script(("a", "b"), is_together=True), Script(("c",), is_together=True))
    async with await bench.service.start(ask(n=2)) as generation:
        batches = [batch async for batch in generation]
    assert len(batches) == 1
    assert {event.choice for event in batches[0]} == {0, 1}
    await bench.service.settled()


async def test_defaults_fill_the_rest_of_the_context() -> None:
    assert (await Bench().spec(ask())).max_tokens == INFO.max_output_tokens
    wide = replace(INFO, max_output_tokens=9999)
    assert (await Bench(info=wide).spec(ask())).max_tokens == 2048 - 4
    assert (await Bench().spec(ask(max_tokens=5))).max_tokens == 5
    assert (await Bench(info=wide).spec(ask(max_tokens=5000))).max_tokens == 2048 - 4


async def test_the_context_has_room_for_one_token_at_least() -> None:
    fits = ask(TokenPrompt(tuple([65] * 2047)))
    assert (await Bench().spec(fits)).max_tokens == 1
    error = await Bench().refuse(ask(TokenPrompt(tuple([65] * 2048))), ContextLengthExceeded)
    assert error.param == "prompt"
    chat = ChatPrompt((Message("user", "x" * 3000),))
    error = await Bench().refuse(ask(chat), ContextLengthExceeded)
    assert error.param == "messages"
    assert "maximum context length is 2048 tokens" in error.message


async def test_long_prompts_are_tokenized_beside_the_loop() -> None:
    wide = replace(INFO, context_window=50_000)
    spec = await Bench(info=wide).spec(ask(TextPrompt("y" * 20_000)))
    assert len(spec.prompt) == 20_001


async def test_bos_stands_once() -> None:
    assert (await Bench().spec(ask(TextPrompt("<s>a")))).prompt == (BOS, 97)
    bare = Bench(tokenizer=ByteTokenizer(has_bos=False))
    assert (await bare.spec(ask(TextPrompt("a")))).prompt == (97,)
    with_bos = Bench(template="{{ bos_token }}{{ messages[0].content }}")
    assert (await with_bos.spec(ask(CHAT))).prompt == (BOS, *b"Hi")


async def test_a_closing_eos_of_the_tokenizer_is_taken_off() -> None:
    class Closing(ByteTokenizer):
        def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
            made = super().tokenize(text, add_special=add_special, parse_special=parse_special)
            return [*made, EOS]

    assert (await Bench(tokenizer=Closing()).spec(ask(TextPrompt("a")))).prompt == (BOS, 97)


async def test_an_empty_prompt_starts_from_bos_or_eos() -> None:
    assert (await Bench().spec(ask(TextPrompt("")))).prompt == (BOS,)
    bare = Bench(tokenizer=ByteTokenizer(has_bos=False))
    assert (await bare.spec(ask(TextPrompt("")))).prompt == (EOS,)


async def test_infill() -> None:
    spec = await Bench().spec(ask(TextPrompt("ab", suffix="cd")))
    assert spec.prompt == (BOS, 260, *b"ab", 261, *b"cd", 262)
    without = Bench(tokenizer=ByteTokenizer(has_infill=False))
    error = await without.refuse(ask(TextPrompt("a", suffix="b")), UnsupportedOperation)
    assert error.param == "suffix"


@pytest.mark.parametrize("token", [-1, 300])
async def test_token_ids_lie_in_the_vocabulary(token: int) -> None:
    assert (await Bench().refuse(ask(TokenPrompt((token,))), BadRequest)).param == "prompt"
    bias = SamplingOverrides(logit_bias=((token, 1.0),))
    assert (await Bench().refuse(ask(sampling=bias), BadRequest)).param == "logit_bias"
    assert (
        await Bench().refuse(ask(stop_token_ids=(token,)), BadRequest)
    ).param == "stop_token_ids"


async def test_sampling_overrides_the_models_defaults() -> None:
    spec = await Bench().spec(ask(sampling=SamplingOverrides(temperature=0.1, top_k=3)))
    assert (spec.sampling.temperature, spec.sampling.top_k) == (0.1, 3)
    assert spec.sampling.min_p == 0.05


async def test_answers_to_one_prompt_have_seeds_of_their_own() -> None:
    bench = Bench()
    seeded = SamplingOverrides(seed=41)
    await bench.run(ask(TextPrompt("a"), TextPrompt("b"), sampling=seeded, n=2))
    assert [spec.sampling.seed for spec in bench.engine.specs] == [41, 42, 41, 42]
    assert (await bench.spec(ask(sampling=SamplingOverrides(seed=-5)))).sampling.seed is not None
    assert (await bench.spec(ask())).sampling.seed is None


async def test_what_else_reaches_the_sequence() -> None:
    request = ask(stop=("x",), stop_token_ids=(5,), ignore_eos=True, min_tokens=3, logprobs=4)
    spec = await Bench().spec(request)
    assert (spec.stop, spec.stop_tokens, spec.ignore_eos) == (("x",), frozenset({5}), True)
    assert (spec.min_tokens, spec.logprobs, spec.prompt_logprobs) == (3, 4, None)


async def test_min_tokens_cannot_exceed_the_limit() -> None:
    error = await Bench().refuse(ask(min_tokens=6, max_tokens=5), BadRequest)
    assert error.param == "min_tokens"


async def test_the_queue_has_a_deadline() -> None:
    bench = Bench()
    bench.service = GenerationService(bench.pool, bench.metrics, queue_timeout=5.0)
    assert (await bench.spec(ask())).queue_deadline is not None


async def test_constraints_are_compiled_for_each_sequence() -> None:
    bench = Bench()
    await bench.run(ask(n=2, constraint=JsonObject("response_format")))
    assert [spec.constraint for spec in bench.engine.specs] == ["compiled", "compiled"]
    without = Bench(constraints=None)
    error = await without.refuse(
        ask(constraint=JsonObject("response_format")), UnsupportedOperation
    )
    assert error.param == "response_format"


async def test_embedding_models_do_not_generate() -> None:
    bench = Bench()
    bench.pool.engine = None
    assert (await bench.refuse(ask(), UnsupportedOperation)).param == "model"


async def test_markers_that_are_control_tokens_are_shown_to_the_parser() -> None:
    bench = Bench(template="{{ messages[0].content }}{{ tools }}")
    asked = ChatPrompt((Message("user", "Hi"),), tools=(Tool("f"),))
    assert (await bench.spec(ask(asked))).shown_tokens == {263}
    assert (await bench.spec(ask(CHAT))).shown_tokens == frozenset()


async def test_tools_need_a_place_in_the_template() -> None:
    prompt = ChatPrompt((Message("user", "Hi"),), tools=(Tool("f"),))
    bench = Bench(template="{{ messages[0].content }}")
    assert (await bench.refuse(ask(prompt), UnsupportedOperation)).param == "tools"


async def test_requests_with_tools_get_the_template_for_tools() -> None:
    turns = "{{ messages[0].content }}{% for t in tools %}{{ t.function.name }}{% endfor %}"
    bench = Bench(template=f"plain {turns}", tool_template=f"tools {turns}")
    tooled = ChatPrompt((Message("user", "Hi"),), tools=(Tool("f"),))
    plain = ChatPrompt((Message("user", "Hi"),))
    for prompt, text in ((plain, "plain Hi"), (tooled, "tools Hif")):
        spec = await bench.spec(ask(prompt))
        assert bench.pool.tokenizer.detokenize(spec.prompt).endswith(text)


async def test_the_models_system_prompt_stands_in_for_a_missing_one() -> None:
    turns = "{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}"
    bench = Bench(template=turns, system_prompt="Be kind.")
    for message, expected in (
        (Message("user", "Hi"), "system:Be kind.;user:Hi;"),
        (Message("developer", "Hi"), "system:Hi;"),
    ):
        spec = await bench.spec(ask(ChatPrompt((message,))))
        text = bench.pool.tokenizer.detokenize(spec.prompt)
        assert text.endswith(expected)
        assert text.count("system") == 1


async def test_models_by_alias_and_with_latest() -> None:
    for name in ("tiny", "org/tiny:q8", "tiny:latest", "plain:latest"):
        await Bench().run(replace(ask(), model=name))
    error = await Bench().refuse(replace(ask(), model="none"), ModelNotFound)
    assert error.param == "model"


async def test_a_request_has_a_bounded_number_of_answers() -> None:
    many = [TextPrompt("a")] * 600
    assert (await Bench().refuse(ask(*many, n=2), BadRequest)).param == "prompt"


async def test_refusals_are_counted() -> None:
    bench = Bench()
    bench.engine.refusal = QueueFull("full", retry_after=3)
    await bench.refuse(ask(), QueueFull)
    assert bench.metrics.calls == [("rejected", INFO.id, "queue_full")]


async def test_mistakes_of_the_caller_are_not_counted_as_turned_away() -> None:
    bench = Bench()
    await bench.refuse(ask(min_tokens=9999), BadRequest)
    assert bench.metrics.calls == []


async def test_a_broken_template_is_the_models_fault() -> None:
    bench = Bench(template_error="its template is broken")
    error = await bench.refuse(ask(CHAT), TemplateRefused)
    assert INFO.id in error.message
    assert error.param == "model"
    assert text_of(await bench.run(ask())) == "Hello"  # it completes all the same


async def test_only_the_first_sequence_has_a_deadline() -> None:
    """The others wait for their siblings, which is no reason to fail them."""
    bench = Bench()
    bench.service = GenerationService(bench.pool, bench.metrics, queue_timeout=1.0)
    await bench.run(ask(TextPrompt("a"), TextPrompt("b"), n=2))
    deadlines = [spec.queue_deadline is not None for spec in bench.engine.specs]
    assert deadlines == [True, False, False, False]


async def test_usage_counts_a_prompt_once() -> None:
    bench = Bench(Script(("a", "b", "c"), cached_tokens=3))
    request = ask(TextPrompt("abc"), TextPrompt("de"), n=2)
    async with await bench.service.start(request) as generation:
        await generation.complete()
        usage = generation.usage
    assert (usage.prompt_tokens, usage.cached_tokens) == (4 + 3, 6)
    assert (usage.completion_tokens, usage.total_tokens) == (12, 19)
    await bench.service.settled()


async def test_thinking_and_calls_become_events() -> None:
    pieces = ("<think>hm", "</think>", "ok", '<tool_call>{"name":"f","arguments":{}}</tool_call>')
    bench = Bench(Script(pieces), template="{{ messages }}{{ tools }}</think>")
    prompt = ChatPrompt((Message("user", "Hi"),), tools=(Tool("f"),))
    events = await bench.run(ask(prompt))
    assert ReasoningDelta(0, "hm") in events
    assert text_of(events) == "ok"
    start = next(event for event in events if isinstance(event, ToolCallStart))
    assert (start.index, start.name, start.id[:5]) == (0, "f", "call_")
    assert events[-1] == Finished(0, "tool_calls", 4, reasoning_tokens=2)


async def test_the_manifests_format_is_read_and_not_the_templates() -> None:
    bench = Bench(Script(("[f(a=1)]",)), template="{{ tools }}<tool_call>", tool_format="llama-4")
    prompt = ChatPrompt((Message("user", "Hi"),), tools=(Tool("f"),))
    events = await bench.run(ask(prompt))
    assert [event.name for event in events if isinstance(event, ToolCallStart)] == ["f"]


async def test_tool_calls_replace_stop_never_length() -> None:
    pieces = ('<tool_call>{"name":"f"}</tool_call>',)
    prompt = ChatPrompt((Message("user", "Hi"),), tools=(Tool("f"),))
    events = await Bench(Script(pieces, reason="length")).run(ask(prompt))
    assert events[-1] == Finished(0, "length", 1)


async def test_malformed_calls_are_counted() -> None:
    bench = Bench(Script(("<tool_call>x",)))
    events = await bench.run(ask(ChatPrompt((Message("user", "Hi"),), tools=(Tool("f"),))))
    assert text_of(events) == "<tool_call>x"
    assert ("tool_parse_failure", "hermes") in bench.metrics.calls


async def test_logprobs_stay_with_their_text() -> None:
    bench = Bench(Script(("<think>", "hm", "</think>", "\n", "o", "k")), template="</think>")
    events = await bench.run(ask(CHAT, logprobs=0))
    told = [
        (type(event).__name__, [logprob.token.bytes for logprob in event.logprobs])
        for event in events
        if isinstance(event, TextDelta | ReasoningDelta)
    ]
    assert told == [("ReasoningDelta", [b"hm"]), ("TextDelta", [b"o"]), ("TextDelta", [b"k"])]


async def test_a_last_token_without_text_keeps_its_logprob() -> None:
    for template, pieces in ((None, ("a", "")), ("</think>", ("a", "", ""))):
        bench = Bench(Script(pieces, is_together=False), template=template)
        events = await bench.run(ask(CHAT, logprobs=0))
        told = [lp for event in events if isinstance(event, TextDelta) for lp in event.logprobs]
        assert len(told) == len(pieces)
        assert text_of(events) == "a"


async def test_echo_gives_the_prompt_first() -> None:
    assert text_of(await Bench().run(ask(echo=True))) == "abcHello"
    tokens = await Bench().run(ask(TokenPrompt((97, 98)), echo=True))
    assert text_of(tokens) == "abHello"


async def test_echo_with_logprobs() -> None:
    bench = Bench()
    events = await bench.run(ask(echo=True, logprobs=1))
    first = next(event for event in events if isinstance(event, TextDelta))
    assert [logprob.token.bytes for logprob in first.logprobs] == [b"a", b"b", b"c"]
    assert bench.engine.specs[0].prompt_logprobs == 1
    ids = await Bench().run(ask(TokenPrompt((97, 98)), echo=True, logprobs=0))
    first = next(event for event in ids if isinstance(event, TextDelta))
    assert [logprob.token.bytes for logprob in first.logprobs] == [b"a", b"b"]
    assert first.logprobs[0].token.logprob != first.logprobs[0].token.logprob  # unknown


async def test_echo_spells_a_control_token_first() -> None:
    events = await Bench().run(ask(TokenPrompt((BOS, 97)), echo=True, logprobs=0))
    first = next(event for event in events if isinstance(event, TextDelta))
    assert [logprob.token.bytes for logprob in first.logprobs] == [b"<s>", b"a"]


async def test_the_length_of_token_ids_is_checked_first() -> None:
    class Careful(ByteTokenizer):
        def detokenize(self, tokens: Sequence[int]) -> str:
            raise AssertionError("nobody wants the text")

    await Bench(tokenizer=Careful()).run(ask(TokenPrompt((97,))))
    too_many = ask(TokenPrompt((-1,) * INFO.context_window))
    await Bench(tokenizer=Careful()).refuse(too_many, ContextLengthExceeded)


async def test_a_prompt_can_be_scored_alone() -> None:
    events = await Bench(Script(("x",))).run(ask(echo=True, max_tokens=0))
    assert text_of(events) == "abc"
    assert events[-1] == Finished(0, "length", 0)


async def test_the_best_candidates_are_kept() -> None:
    scripts = (
        Script(("bad",), logprob=-3),
        Script(("best",), logprob=-1),
        Script(("good",), logprob=-2),
    )
    bench = Bench(*scripts)
    events = await bench.run(ask(n=2, best_of=3))
    assert (text_of(events, 0), text_of(events, 1)) == ("best", "good")
    assert not any(event.logprobs for event in events if isinstance(event, TextDelta))
    assert bench.metrics.records[0].completion_tokens == 3


async def test_a_failed_answer_ends_all() -> None:
    bench = Bench(Script(("a",), failure=EngineFailed("gone")), Script(never_ends=True))
    with pytest.raises(EngineFailed):
        await bench.run(ask(n=2))
    assert bench.engine.cancelled == [bench.engine.specs[1].id]
    assert bench.metrics.records[0].outcome == "engine_failed"


async def test_failure_is_an_event_in_a_stream() -> None:
    bench = Bench(Script(("a",), failure=EngineFailed("gone")))
    async with await bench.service.start(ask()) as generation:
        batches = [batch async for batch in generation]
    assert isinstance(batches[-1][-1], Failed)
    await bench.service.settled()


async def test_a_stream_that_ends_without_a_word_is_an_error() -> None:
    bench = Bench(Script((), never_ends=True))
    async with await bench.service.start(ask()) as generation:
        asyncio.get_running_loop().call_later(0.01, bench.engine.open.popitem()[1].close)
        with pytest.raises(InternalError):
            await generation.complete()
    await bench.service.settled()


async def test_waiting_for_admission() -> None:
    late = Bench(Script(start_delay=30))
    async with await late.service.start(ask()) as generation:
        await generation.wait_admitted(0.01)
    failing = Bench(Script((), failure=QueueTimeout("late", retry_after=2)))
    async with await failing.service.start(ask()) as generation:
        with pytest.raises(QueueTimeout):
            await generation.wait_admitted(5)
    assert failing.metrics.records[0].outcome == "queue_timeout"
    assert failing.metrics.calls == [("rejected", INFO.id, "queue_timeout")]
    await late.service.settled()
    await failing.service.settled()
    await late.engine.close()


async def test_closing_cancels_and_gives_the_model_back() -> None:
    bench = Bench(Script(("a",), never_ends=True))
    generation = await bench.service.start(ask(n=2))
    assert bench.pool.leases == 1
    async for _batch in generation:
        break
    generation.close()
    generation.close()
    assert len(set(bench.engine.cancelled)) == 2
    await bench.service.settled()
    assert bench.pool.leases == 0
    assert [record.outcome for record in bench.metrics.records] == ["abort"]
    assert "cancel" in bench.metrics.names()


async def test_the_record() -> None:
    bench = Bench(Script(("a", "b"), cached_tokens=1, reason="length"))
    await bench.run(ask(max_tokens=2))
    record = bench.metrics.records[0]
    assert (record.model, record.prompt_tokens, record.cached_tokens) == (INFO.id, 4, 1)
    assert (record.completion_tokens, record.outcome, record.n) == (2, "length", 1)
    assert record.queue_seconds == 0.01
    assert record.ttft_seconds is not None
    assert record.total_seconds is not None
    assert bench.metrics.names() == ["queue", "ttft", "inter_token"]


async def test_a_model_that_is_gone_while_it_loads_has_come_no_further() -> None:
    bench = Bench(Script(("a",)))
    assert bench.service.is_loaded(INFO.id)
    assert bench.service.progress("removed").share is None
