"""The engine on real llama.cpp and a real model: however an answer came about, it is the same."""

import pytest

from app.core.options import DraftMethod
from app.core.requests import JsonSchema, SamplingParams
from app.engine.constraint import ConstraintCompiler
from app.engine.messages import SequenceFinished, SequenceSpec
from app.engine.prefix.store import PrefixStore
from app.llama.model import Model
from tests.support.stepped_engine import SteppedEngine

GREEDY = SamplingParams(temperature=0)
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


def answer(rig: SteppedEngine, *questions: str, at_once: bool = True) -> list[str]:
    rig.outputs.clear()
    for number, question in enumerate(questions):
        rig.submit(SequenceSpec(f"q{number}", rig.prompt(question), 60, GREEDY))
        if not at_once:
            rig.run()
    rig.run()
    return [rig.text(name) for name in sorted(rig.outputs)]


def cached(rig: SteppedEngine) -> list[int]:
    return [rig.cached(name) for name in sorted(rig.outputs)]


@pytest.fixture(scope="module")
def alone(builtin_model: Model) -> list[str]:
    """The answers of an engine that does one thing at a time and keeps nothing."""
    rig = SteppedEngine(builtin_model)
    answers = answer(rig, *QUESTIONS, at_once=False)
    rig.close()
    assert len(set(answers)) > 5, "the questions have different answers"
    return answers


def test_shared_answers_are_the_same(builtin_model: Model, alone: list[str]) -> None:
    rig = SteppedEngine(builtin_model)
    assert answer(rig, *QUESTIONS) == alone
    assert min(cached(rig)[1:]) > 80
    rig.close()


def test_restored_answers_are_the_same(builtin_model: Model, alone: list[str]) -> None:
    rig = SteppedEngine(builtin_model, store=PrefixStore(2**26))
    answer(rig, *QUESTIONS)
    assert answer(rig, *QUESTIONS, at_once=False) == alone
    assert min(cached(rig)) > 80
    stats = rig.worker.stats
    assert stats.cached_tokens_by_tier["host"] > 8 * 80
    assert stats.cached_tokens == stats.prompt_tokens - stats.prompt_tokens_computed
    rig.close()


def test_what_was_kept_outlives_the_context(builtin_model: Model, alone: list[str]) -> None:
    store = PrefixStore(2**26)
    first = SteppedEngine(builtin_model, store=store)
    answer(first, *QUESTIONS)
    first.close()
    second = SteppedEngine(builtin_model, store=store)
    assert answer(second, *QUESTIONS) == alone
    assert min(cached(second)) > 80
    second.close()


def test_parked_answers_are_the_same(builtin_model: Model) -> None:
    counting = [f"Count to {number}." for number in ("ten", "twelve", "20", "30", "40", "five")]
    roomy = SteppedEngine(builtin_model)
    expected = answer(roomy, *counting, at_once=False)
    rig = SteppedEngine(builtin_model, kv_size=256, store=PrefixStore(2**26))
    assert answer(rig, *counting) == expected
    stats = rig.worker.stats
    assert stats.preemptions > 0
    assert stats.recomputed_tokens == 0
    roomy.close()
    rig.close()


@pytest.mark.parametrize("method", ["ngram", "model"])
def test_guessed_answers_are_the_same(
    builtin_model: Model, alone: list[str], method: DraftMethod
) -> None:
    rig = SteppedEngine(builtin_model, speculation=method)
    assert answer(rig, *QUESTIONS) == alone
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
    rig = SteppedEngine(builtin_model)
    prompt = vocabulary.tokenize("Say it in JSON: ", add_special=True, parse_special=True)
    constraint = compiler.compile(JsonSchema(schema, "schema"))
    spec = SequenceSpec("json", tuple(prompt), 60, GREEDY, constraint=constraint)
    rig.submit(spec)
    rig.run()
    assert rig.text("json").replace(" ", "") in (
        '{"the_only_property_there_is":"first"}',
        '{"the_only_property_there_is":"other"}',
    )
    end = rig.outputs["json"][-1]
    assert isinstance(end, SequenceFinished)
    assert rig.worker.stats.steps < 0.7 * end.n_tokens
    rig.close()


def test_control_tokens_have_text_only_where_it_is_asked_for(builtin_model: Model) -> None:
    rig = SteppedEngine(builtin_model)
    opener = builtin_model.vocabulary.tokenize(
        "<|im_start|>", add_special=False, parse_special=True
    )
    always = SamplingParams(temperature=0, logit_bias=((opener[0], 1000.0),))
    for name, shown in (("hidden", frozenset[int]()), ("shown", frozenset(opener))):
        spec = SequenceSpec(name, (5, 6, 7), 2, always, shown_tokens=shown)
        rig.submit(spec)
    rig.run()
    assert rig.text("hidden") == ""
    assert rig.text("shown") == "<|im_start|>" * 2
    rig.close()
