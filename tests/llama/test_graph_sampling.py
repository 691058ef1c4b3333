"""Tokens chosen inside the compute graph, on real llama.cpp, beside rows sampled on the host."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from app.core.requests import SamplingParams
from app.engine.engine import Engine, OutputStream
from app.engine.messages import EngineConfig, SequenceFailed, SequenceOutput, SequenceSpec
from app.llama.context import ContextOptions, LlamaRuntime
from app.llama.graph_sampling import GraphSampler
from app.llama.model import Model
from tests.support.streams import outputs_of

GREEDY = SamplingParams(temperature=0)
HOT = SamplingParams(temperature=1.4, top_k=0, top_p=1.0, min_p=0.0, seed=3)
OPTIONS = ContextOptions(kv_size=1024, max_sequences=6, threads=1)
Rows = list[tuple[int, list[int], int, int]]  # slot, tokens, first position, how many outputs


@pytest.fixture
def runtime(random_model: Model) -> Iterator[LlamaRuntime]:
    made = LlamaRuntime(random_model, replace(OPTIONS, backend_sampling=True))
    yield made
    made.close()


@pytest.fixture
def plain(random_model: Model) -> Iterator[LlamaRuntime]:
    made = LlamaRuntime(random_model, OPTIONS)
    yield made
    made.close()


def decode(runtime: LlamaRuntime, parts: Rows) -> tuple[np.ndarray, dict[int, list[int]]]:
    """A copy of the logits, and the batch rows of each slot's outputs."""
    batch, at, outputs = runtime.batch, 0, dict[int, list[int]]()
    for slot, tokens, first, n_outputs in parts:
        end = at + len(tokens)
        batch.token[at:end] = tokens
        batch.position[at:end] = np.arange(first, first + len(tokens))
        batch.sequence[at:end] = slot
        batch.output[at:end] = np.arange(len(tokens)) >= len(tokens) - n_outputs
        outputs[slot] = list(range(end - n_outputs, end))
        at = end
    assert runtime.decode(at)
    return runtime.logits(sum(map(len, outputs.values()))).copy(), outputs


def graph_sampler(runtime: LlamaRuntime, params: SamplingParams) -> GraphSampler:
    sampler = runtime.make_graph_sampler(params)
    assert sampler is not None
    return sampler


def sample(sampler: GraphSampler, row: int) -> int:
    return sampler.sample(row, np.zeros(0, np.float32))


PROMPTS = {0: [5, 9, 13], 1: [7, 7, 8, 2], 2: [30, 31], 3: [40, 41, 42, 43, 44]}


def test_rows_of_both_kinds_in_one_batch_are_right(
    runtime: LlamaRuntime, plain: LlamaRuntime
) -> None:
    """Several outputs for some sequences, as with guesses ahead; then a step of one token each."""
    samplers = {slot: graph_sampler(runtime, GREEDY) for slot in (0, 3)}
    for slot in PROMPTS:
        runtime.seat(slot, samplers.get(slot))
    steps: list[Rows] = [
        [
            (0, PROMPTS[0], 0, 1),
            (1, PROMPTS[1], 0, 1),
            (2, PROMPTS[2], 0, 1),
            (3, PROMPTS[3], 0, 3),
        ],
        [(3, [6], 5, 1), (2, [9, 10], 2, 2), (1, [4], 4, 1), (0, [1, 2, 3], 3, 3)],
        [(slot, [11], {0: 6, 1: 5, 2: 4, 3: 6}[slot], 1) for slot in PROMPTS],
        [(0, [1], 7, 1), (3, [2], 7, 1)],  # nobody needs logits here
    ]
    for parts in steps:
        logits, rows = decode(runtime, parts)
        expected, _ = decode(plain, parts)
        at = 0
        for slot, _, _, n_outputs in parts:
            own = slice(at, at + n_outputs)
            if slot in samplers:
                chosen = [sample(samplers[slot], row) for row in rows[slot]]
                assert chosen == expected[own].argmax(axis=1).tolist()
            else:
                np.testing.assert_array_equal(logits[own], expected[own])
            at += n_outputs
    for sampler in samplers.values():
        sampler.close()


def draws(runtime: LlamaRuntime, sampler: GraphSampler, slot: int, count: int) -> list[int]:
    """Draw again and again after the same prompt."""
    drawn: list[int] = []
    for _ in range(count):
        _, rows = decode(runtime, [(slot, PROMPTS[1], 0, 1)])
        drawn.append(sample(sampler, rows[slot][0]))
        runtime.remove(slot, -1, -1)
    return drawn


@pytest.mark.parametrize(
    "params", [HOT, replace(HOT, top_k=12), replace(HOT, top_p=0.6), replace(HOT, min_p=0.4)]
)
def test_draws_are_distributed_as_on_the_host(
    runtime: LlamaRuntime, plain: LlamaRuntime, params: SamplingParams
) -> None:
    logits, _ = decode(plain, [(1, PROMPTS[1], 0, 1)])
    host = plain.make_sampler(params, [])
    wanted = np.array([host.sample(0, logits[0].copy()) for _ in range(4000)])
    sampler = graph_sampler(runtime, params)
    runtime.seat(1, sampler)
    drawn = np.array(draws(runtime, sampler, 1, 1000))
    assert set(drawn) <= set(wanted) or params in (HOT, replace(HOT, top_p=0.6))
    likely = np.argsort(np.bincount(wanted, minlength=logits.shape[1]))[::-1][:10]
    for token in likely:
        share, found = (wanted == token).mean(), (drawn == token).mean()
        assert abs(share - found) < 4.5 * np.sqrt(share * (1 - share) / 1000) + 0.01
    sampler.close()
    host.close()


def test_a_sequence_takes_its_random_state_to_another_slot(runtime: LlamaRuntime) -> None:
    unmoved = graph_sampler(runtime, HOT)
    runtime.seat(0, unmoved)
    expected = draws(runtime, unmoved, 0, 12)
    moving = graph_sampler(runtime, HOT)
    runtime.seat(0, moving)
    drawn = draws(runtime, moving, 0, 5)
    other = graph_sampler(runtime, HOT)
    runtime.seat(0, other)  # parked; its slot goes to one of equal sampling
    assert draws(runtime, other, 0, 3) == expected[:3]
    runtime.seat(4, moving)
    drawn += draws(runtime, moving, 4, 4)
    runtime.seat(4, None)
    runtime.seat(0, moving)
    assert drawn + draws(runtime, moving, 0, 3) == expected
    assert len(set(expected)) > 3
    for sampler in (unmoved, moving, other):
        sampler.close()


def test_guesses_that_were_rejected_use_no_random_numbers(runtime: LlamaRuntime) -> None:
    expected = graph_sampler(runtime, HOT)
    runtime.seat(0, expected)
    alone = draws(runtime, expected, 0, 4)
    sampler = graph_sampler(runtime, HOT)
    runtime.seat(0, sampler)
    drawn: list[int] = []
    for _ in range(4):
        _, rows = decode(runtime, [(0, [*PROMPTS[1], 3, 4], 0, 3)])
        drawn.append(sample(sampler, rows[0][0]))  # the two guesses behind it are not taken
        runtime.remove(0, -1, -1)
    assert drawn == alone


def test_a_slot_without_a_sampler_gets_its_logits_again(
    runtime: LlamaRuntime, plain: LlamaRuntime
) -> None:
    sampler = graph_sampler(runtime, GREEDY)
    runtime.seat(0, sampler)
    decode(runtime, [(0, PROMPTS[3], 0, 1)])
    sampler.close()
    runtime.remove(0, -1, -1)
    runtime.seat(0, runtime.make_sampler(HOT, []))
    logits, _ = decode(runtime, [(0, PROMPTS[1], 0, 1)])
    np.testing.assert_array_equal(logits, decode(plain, [(0, PROMPTS[1], 0, 1)])[0])


def test_an_engine_mixes_both_kinds_and_parks_them(builtin_model: Model) -> None:
    """More sequences than the cache holds. What the graph answers must be what the host answers,
    and what a sequence with a seed answers when it is alone."""
    long = replace(OPTIONS, kv_size=256, max_sequences=4, backend_sampling=True)
    hot = replace(HOT, temperature=0.9)

    def spec(name: str, sampling: SamplingParams, logprobs: int | None = None) -> SequenceSpec:
        topic = "Count from 1 to 40." if sampling is GREEDY else "Tell me about winter."
        question = f"<|im_start|>user\n{topic}<|im_end|>\n<|im_start|>assistant\n"
        tokens = builtin_model.vocabulary.tokenize(question, add_special=True, parse_special=True)
        return SequenceSpec(
            name,
            tuple(tokens),
            max_tokens=100 if sampling is GREEDY else 40,
            sampling=sampling,
            logprobs=logprobs,
        )

    async def answers(*specs: SequenceSpec) -> list[str]:
        engine = Engine(LlamaRuntime(builtin_model, long), EngineConfig()).start()
        try:
            texts = [await text(stream) for stream in engine.submit(specs)]
            assert all(texts)
            assert len(specs) == 1 or engine.stats.preemptions > 0
            return texts
        finally:
            await engine.close()

    specs = [
        spec(f"{kind}-{n}", params, logprobs)
        for n in range(2)
        for kind, params, logprobs in (
            ("graph", GREEDY, None),
            ("host", GREEDY, 0),
            ("hot", hot, None),
            ("hot-host", hot, 0),
        )
    ]
    together = asyncio.run(answers(*specs))
    alone = asyncio.run(answers(specs[0]))[0], asyncio.run(answers(specs[2]))[0]
    assert together[0] == together[1] == together[4] == together[5] == alone[0]
    assert together[2] == together[6] == alone[1]
    assert asyncio.run(answers(spec("other", replace(hot, seed=4))))[0] != alone[1]


async def text(stream: OutputStream) -> str:
    parts: list[str] = []
    async for output in outputs_of(stream):
        assert not isinstance(output, SequenceFailed), output
        if isinstance(output, SequenceOutput):
            parts.append(output.text)
    return "".join(parts)


@pytest.mark.parametrize(
    "params",
    [
        replace(HOT, presence_penalty=0.5),
        replace(GREEDY, repeat_penalty=1.1),
        replace(HOT, dry_multiplier=1.0),
        replace(HOT, typical_p=0.5),
        replace(HOT, xtc_probability=0.5),
        replace(HOT, mirostat=2),
        replace(HOT, top_k=100_000),
        replace(HOT, min_p=1.0),
        replace(HOT, temperature=1e-7),
    ],
)
def test_what_the_graph_cannot_do_is_left_to_the_host(
    runtime: LlamaRuntime, params: SamplingParams
) -> None:
    assert runtime.make_graph_sampler(params) is None


def test_top_k_of_the_whole_vocabulary(runtime: LlamaRuntime) -> None:
    size = runtime.vocabulary.size
    assert size < 1024, "the bound by the vocabulary is what is tested"
    assert runtime.make_graph_sampler(replace(HOT, top_k=size + 1)) is None
    sampler = graph_sampler(runtime, replace(HOT, top_k=size))
    runtime.seat(0, sampler)
    assert len(set(draws(runtime, sampler, 0, 20))) > 3
    sampler.close()


@pytest.mark.parametrize(
    "narrow", [{"top_k": 1}, {"top_p": 1e-6}, {"min_p": 0.99}, {"temperature": 1e-6}]
)
def test_narrow_choices_are_greedy(
    runtime: LlamaRuntime, plain: LlamaRuntime, narrow: dict[str, float]
) -> None:
    sampler = graph_sampler(runtime, replace(HOT, **narrow))
    runtime.seat(1, sampler)
    logits, _ = decode(plain, [(1, PROMPTS[1], 0, 1)])
    assert set(draws(runtime, sampler, 1, 10)) == {int(logits.argmax())}
    sampler.close()


def test_it_is_off_unless_asked_for(plain: LlamaRuntime) -> None:
    assert plain.make_graph_sampler(GREEDY) is None
    plain.seat(0, None)
