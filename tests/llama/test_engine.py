"""The engine on real llama.cpp and a real model: however an answer came about, it is the same."""

from collections import defaultdict

import pytest

from app.core.options import DraftMethod
from app.core.requests import JsonSchema, SamplingParams
from app.engine.constraint import ConstraintCompiler
from app.engine.messages import (
    EngineConfig,
    Output,
    SequenceCancelled,
    SequenceFinished,
    SequenceOutput,
    SequenceSpec,
    SequenceStarted,
    Submit,
)
from app.engine.prefix.store import PrefixStore
from app.engine.worker import Worker
from app.llama.context import ContextOptions, LlamaRuntime
from app.llama.model import Model

GREEDY = SamplingParams(temperature=0)
SYSTEM = "You are a helpful assistant who knows a lot about the world. " * 6
QUESTIONS = (
    "What is the capital of France?",
    "What is 3 plus 4?",
    "Say hello.",
    "Name three colors.",
    "What is the capital of Italy?",
    "Count to five.",
    "Who are you?",
    "What is 2 times 6?",
)


class Rig:
    """An engine stepped by hand."""

    def __init__(
        self,
        model: Model,
        *,
        kv_size: int = 4096,
        store: PrefixStore | None = None,
        speculation: DraftMethod = "off",
    ) -> None:
        self._model = model
        options = ContextOptions(
            kv_size=kv_size, max_sequences=8, threads=1, batch_tokens=160, extra_outputs=48
        )
        draft = LlamaRuntime(model, options) if speculation == "model" else None
        config = EngineConfig(
            step_tokens=128, speculation=speculation, draft_tokens=4, gates_speculation=False
        )
        self.outputs: dict[str, list[Output | SequenceCancelled]] = defaultdict(list)
        prefixes = (store or PrefixStore(0)).of_model("tiny")
        runtime = LlamaRuntime(model, options)
        self.worker = Worker(runtime, config, self._deliver, prefixes, draft)

    def _deliver(self, outputs: list[Output | SequenceCancelled]) -> None:
        for output in outputs:
            self.outputs[output.id].append(output)

    def answer(self, *questions: str, at_once: bool = True) -> list[str]:
        self.outputs.clear()
        for number, question in enumerate(questions):
            text = (
                f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n"
            )
            prompt = self._model.vocabulary.tokenize(
                f"{text}<|im_start|>assistant\n", add_special=True, parse_special=True
            )
            spec = SequenceSpec(f"q{number}", tuple(prompt), 60, GREEDY)
            self.worker.send(Submit(spec))
            if not at_once:
                self.run()
        self.run()
        return [
            "".join(o.text for o in outputs if isinstance(o, SequenceOutput))
            for _, outputs in sorted(self.outputs.items())
        ]

    def cached(self) -> list[int]:
        return [
            output.cached_tokens
            for _, outputs in sorted(self.outputs.items())
            for output in outputs
            if isinstance(output, SequenceStarted)
        ]

    def run(self) -> None:
        while self.worker.step():
            pass

    def close(self) -> None:
        self.worker.stop()
        self.worker.run()


@pytest.fixture(scope="module")
def alone(builtin_model: Model) -> list[str]:
    """The answers of an engine that does one thing at a time and keeps nothing."""
    rig = Rig(builtin_model)
    answers = rig.answer(*QUESTIONS, at_once=False)
    rig.close()
    assert len(set(answers)) > 5, "the questions have different answers"
    return answers


def test_shared_answers_are_the_same(builtin_model: Model, alone: list[str]) -> None:
    rig = Rig(builtin_model)
    assert rig.answer(*QUESTIONS) == alone
    assert min(rig.cached()[1:]) > 80
    rig.close()


def test_restored_answers_are_the_same(builtin_model: Model, alone: list[str]) -> None:
    rig = Rig(builtin_model, store=PrefixStore(2**26))
    rig.answer(*QUESTIONS)
    assert rig.answer(*QUESTIONS, at_once=False) == alone
    assert min(rig.cached()) > 80
    stats = rig.worker.stats
    assert stats.cached_tokens_by_tier["host"] > 8 * 80
    assert stats.cached_tokens == stats.prompt_tokens - stats.prompt_tokens_computed
    rig.close()


def test_what_was_kept_outlives_the_context(builtin_model: Model, alone: list[str]) -> None:
    store = PrefixStore(2**26)
    first = Rig(builtin_model, store=store)
    first.answer(*QUESTIONS)
    first.close()
    second = Rig(builtin_model, store=store)
    assert second.answer(*QUESTIONS) == alone
    assert min(second.cached()) > 80
    second.close()


def test_parked_answers_are_the_same(builtin_model: Model) -> None:
    counting = [f"Count to {number}." for number in ("ten", "twelve", "20", "30", "40", "five")]
    roomy = Rig(builtin_model)
    expected = roomy.answer(*counting, at_once=False)
    rig = Rig(builtin_model, kv_size=256, store=PrefixStore(2**26))
    assert rig.answer(*counting) == expected
    stats = rig.worker.stats
    assert stats.preemptions > 0
    assert stats.recomputed_tokens == 0
    roomy.close()
    rig.close()


@pytest.mark.parametrize("method", ["ngram", "model"])
def test_guessed_answers_are_the_same(
    builtin_model: Model, alone: list[str], method: DraftMethod
) -> None:
    rig = Rig(builtin_model, speculation=method)
    assert rig.answer(*QUESTIONS) == alone
    stats = rig.worker.stats
    assert stats.accepted_tokens > (50 if method == "model" else 2)
    assert stats.drafted_tokens >= stats.accepted_tokens
    rig.close()


def test_forced_tokens_take_no_steps_of_their_own(
    builtin_model: Model, compiler: ConstraintCompiler
) -> None:
    """A schema that leaves one choice costs one step for all that is forced around it."""
    vocabulary = builtin_model.vocabulary
    schema = {
        "type": "object",
        "properties": {"the_only_property_there_is": {"enum": ["first", "other"]}},
        "required": ["the_only_property_there_is"],
        "additionalProperties": False,
    }
    rig = Rig(builtin_model)
    prompt = vocabulary.tokenize("Say it in JSON: ", add_special=True, parse_special=True)
    constraint = compiler.compile(JsonSchema(schema, "schema"))
    spec = SequenceSpec("json", tuple(prompt), 60, GREEDY, constraint=constraint)
    rig.worker.send(Submit(spec))
    rig.run()
    outputs = rig.outputs["json"]
    text = "".join(o.text for o in outputs if isinstance(o, SequenceOutput))
    assert text.replace(" ", "") in (
        '{"the_only_property_there_is":"first"}',
        '{"the_only_property_there_is":"other"}',
    )
    end = outputs[-1]
    assert isinstance(end, SequenceFinished)
    assert rig.worker.stats.steps < 0.7 * end.n_tokens
    rig.close()


def test_control_tokens_have_text_only_where_it_is_asked_for(builtin_model: Model) -> None:
    rig = Rig(builtin_model)
    opener = builtin_model.vocabulary.tokenize(
        "<|im_start|>", add_special=False, parse_special=True
    )
    always = SamplingParams(temperature=0, logit_bias=((opener[0], 1000.0),))
    for name, shown in (("hidden", frozenset[int]()), ("shown", frozenset(opener))):
        spec = SequenceSpec(name, (5, 6, 7), 2, always, shown_tokens=shown)
        rig.worker.send(Submit(spec))
    rig.run()
    texts = {
        name: "".join(o.text for o in outputs if isinstance(o, SequenceOutput))
        for name, outputs in rig.outputs.items()
    }
    assert texts == {"hidden": "", "shown": "<|im_start|>" * 2}
    rig.close()
