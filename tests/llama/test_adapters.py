"""LoRA adapters on real llama.cpp: what they compute, and that nobody else notices."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from app.core.adapters import NO_ADAPTERS, AdapterSet, make_set
from app.core.errors import ModelLoadFailed
from app.core.options import DraftMethod
from app.core.requests import SamplingParams
from app.engine.messages import SequenceOutput, SequenceSpec
from app.engine.prefix import reader
from app.engine.prefix.store import PrefixStore
from app.engine.step import Step
from app.llama.model import Model, ModelOptions
from scripts.make_gguf import (
    ARCHITECTURES,
    TINY_LLAMA,
    Adapter,
    byte_level_vocabulary,
    make_adapter,
    write_adapter,
    write_model,
)
from tests.llama.conftest import BUILTIN
from tests.llama.memory_cases import Logits, furthest, open_context, random_tokens, read
from tests.support.stepped_engine import SteppedEngine

ONE, TWO = make_set([("one", 1.0)]), make_set([("two", 1.0)])
BOTH = make_set([("one", 0.5), ("two", -1.0)])
SETS = (NO_ADAPTERS, ONE, TWO, BOTH)
TOKENS = random_tokens(60)
# Sums in another order move logits by the last bits; adapters move them by whole units.
TOLERANCE, FAR = 0.005, 0.3
# Of the built-in model, which is sure of its answers; adapters make it more or less so.
QUESTIONS = (
    "What is 3 plus 4?",
    "What is the capital of Italy?",
    "What is the capital of France?",
    "What is 2 times 6?",
)


@dataclass(frozen=True, slots=True)
class Adapted:
    """A model with adapters, and the same adapters merged into its weights."""

    folder: Path
    architecture: str
    model: Model
    adapters: dict[str, Adapter]

    def merged(self, adapters: AdapterSet) -> Model:
        """A model whose own weights are those under `adapters`."""
        deltas: dict[str, np.ndarray] = {}
        for name, scale in adapters:
            for tensor, delta in self.adapters[name].deltas(scale).items():
                deltas[tensor] = deltas.get(tensor, np.float32(0)) + delta
        path = self.folder / f"{self.architecture}-merged.gguf"
        made = ARCHITECTURES[self.architecture]
        write_model(path, made, byte_level_vocabulary(), deltas=deltas)
        return Model.load(path, ModelOptions())


@pytest.fixture(scope="module", params=["llama", "qwen2", "qwen3", "gemma3", "lfm2"])
def adapted(request: pytest.FixtureRequest, model_folder: Path) -> Iterator[Adapted]:
    yield from make_adapted(request.param, model_folder)


@pytest.fixture(scope="module")
def llama(model_folder: Path) -> Iterator[Adapted]:
    yield from make_adapted("llama", model_folder)


def make_adapted(architecture: str, folder: Path) -> Iterator[Adapted]:
    made = ARCHITECTURES[architecture]
    path = write_model(folder / f"{architecture}-base.gguf", made, byte_level_vocabulary())
    model = Model.load(path, ModelOptions())
    adapters = {
        "one": make_adapter(made, strength=0.5, seed=1),
        "two": make_adapter(made, strength=0.5, seed=2, rank=8, targets=("attn_q", "ffn_down")),
    }
    for name, adapter in adapters.items():
        file = write_adapter(folder / f"{architecture}-{name}.gguf", adapter)
        model.load_adapter(name, file)
    yield Adapted(folder, architecture, model, adapters)
    model.close()


def logits_of(model: Model, adapters: AdapterSet = NO_ADAPTERS) -> Logits:
    runtime = open_context(model)
    runtime.adapt(adapters)
    found = read(runtime, 0, TOKENS, chunk=10)
    runtime.close()
    return found


@pytest.mark.parametrize("adapters", SETS[1:], ids=["one", "two", "both scaled"])
def test_logits_are_those_of_merged_weights(adapted: Adapted, adapters: AdapterSet) -> None:
    merged = adapted.merged(adapters)
    expected = logits_of(merged)
    merged.close()
    found = logits_of(adapted.model, adapters)
    assert furthest(found, expected) < TOLERANCE
    for other in SETS:
        if other != adapters:
            assert furthest(logits_of(adapted.model, other), expected) > FAR, "negative control"


def test_a_context_goes_from_one_set_to_another_and_back(llama: Adapted) -> None:
    expected = {adapters: logits_of(llama.model, adapters) for adapters in SETS}
    runtime = open_context(llama.model)
    for adapters in (*SETS, *SETS[::-1]):
        runtime.adapt(adapters)
        np.testing.assert_array_equal(read(runtime, 0, TOKENS, chunk=10), expected[adapters])
        runtime.remove(0, -1, -1)
    runtime.close()


def test_an_adapter_of_another_model_is_refused_with_its_name(
    llama: Adapted, tmp_path: Path
) -> None:
    wrong = {
        "other-family": (make_adapter(ARCHITECTURES["qwen2"]), "arch mismatch"),
        "other-size": (make_adapter(replace(TINY_LLAMA, hidden=96)), "incorrect shape"),
    }
    for name, (adapter, reason) in wrong.items():
        path = write_adapter(tmp_path / f"{name}.gguf", adapter)
        with pytest.raises(ModelLoadFailed, match=rf"{name}\.gguf cannot be loaded: .*{reason}"):
            llama.model.load_adapter("wrong", path)
    with pytest.raises(ModelLoadFailed, match=r"gone\.gguf cannot be loaded: failed to open"):
        llama.model.load_adapter("wrong", tmp_path / "gone.gguf")
    assert set(llama.model.adapters) == {"one", "two"}


def test_an_activated_adapter_is_refused(llama: Adapted, tmp_path: Path) -> None:
    adapter = make_adapter(ARCHITECTURES["llama"])
    path = write_adapter(tmp_path / "activated.gguf", adapter, invocation=(1, 2, 3))
    with pytest.raises(ModelLoadFailed, match=r"activated\.gguf .*aLoRA"):
        llama.model.load_adapter("wrong", path)


@pytest.fixture(scope="module")
def talker(model_folder: Path) -> Iterator[Model]:
    """The built-in model, and two adapters."""
    model = Model.load(BUILTIN, ModelOptions())
    for seed, name in enumerate(("one", "two"), 1):
        adapter = make_adapter(BUILTIN, strength=0.4, seed=seed)
        model.load_adapter(name, write_adapter(model_folder / f"talker-{name}.gguf", adapter))
    yield model
    model.close()


@dataclass(frozen=True, slots=True)
class Spoken:
    """An answer, and the log-probability of each of its tokens."""

    text: str
    logprobs: list[float]

    def distance(self, other: "Spoken") -> float:
        """Of the log-probabilities; that to another text is infinite."""
        if self.text != other.text:
            return math.inf
        pairs = zip(self.logprobs, other.logprobs, strict=True)
        return max(abs(mine - its) for mine, its in pairs)


def open_engine(
    model: Model,
    *,
    kv_size: int = 8192,
    store: PrefixStore | None = None,
    speculation: DraftMethod = "off",
) -> SteppedEngine:
    files = {"one": "file 1", "two": "file 2"}
    return SteppedEngine(
        model, kv_size=kv_size, store=store, speculation=speculation, adapters=files
    )


def ask(rig: SteppedEngine, *, at_once: bool = True) -> dict[str, Spoken]:
    """Every question under each set."""
    rig.outputs.clear()
    for question in QUESTIONS:
        for index, adapters in enumerate(SETS):
            spec = SequenceSpec(
                f"{question} {index}",
                rig.prompt(question),
                40,
                SamplingParams(temperature=0),
                logprobs=0,
                adapters=adapters,
            )
            rig.submit(spec)
            if not at_once:
                rig.run()
    rig.run()
    return {name: listen(rig, name) for name in rig.outputs}


def listen(rig: SteppedEngine, name: str) -> Spoken:
    logprobs = [
        one.token.logprob
        for output in rig.outputs[name]
        if isinstance(output, SequenceOutput)
        for one in output.logprobs
    ]
    return Spoken(rig.text(name), logprobs)


NOISE = 0.02
"""By which steps of other sizes move log-probabilities."""


def assert_alike(found: dict[str, Spoken], expected: dict[str, Spoken]) -> None:
    """The same texts, each as sure as under its own adapters: nearer to that than to what any other
    set makes of the question, where those differ by more than steps of other sizes do."""
    for name, said in found.items():
        own = said.distance(expected[name])
        others = (expected[f"{name[:-1]}{index}"] for index in range(len(SETS)))
        nearest = min(said.distance(other) for other in others if other is not expected[name])
        assert own < 0.1, name
        assert own < max(nearest, NOISE), name


@pytest.fixture(scope="module")
def alone(talker: Model) -> dict[str, Spoken]:
    """Each in an engine that has nothing else to do, and keeps nothing."""
    rig = open_engine(talker)
    answers = ask(rig, at_once=False)
    rig.close()
    return answers


def test_adapters_can_be_told_apart(alone: dict[str, Spoken]) -> None:
    """The negative control of the tests below."""
    swapped = {name: alone[f"{name[:-1]}{3 - int(name[-1])}"] for name in alone}
    with pytest.raises(AssertionError):
        assert_alike(swapped, alone)
    assert_alike(alone, alone)


def test_mixed_traffic_gets_what_each_gets_alone(talker: Model, alone: dict[str, Spoken]) -> None:
    rig = open_engine(talker)
    assert_alike(ask(rig), alone)
    assert rig.worker.stats.adapter_switches > 8
    first, second = ([rig.cached(f"{q} {i}") for i in range(4)] for q in QUESTIONS[:2])
    assert first == [0] * 4
    assert min(second) > 80
    rig.close()


def test_restored_answers_are_the_same(
    talker: Model, alone: dict[str, Spoken], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From memory, and from files after a restart."""
    monkeypatch.setattr(reader, "_SECONDS", 60.0)  # a busy machine may be slow
    store = PrefixStore(2**26, tmp_path, 2**28)
    store.start()
    first = open_engine(talker, store=store)
    assert_alike(ask(first), alone)
    assert_alike(ask(first, at_once=False), alone)
    assert min(first.cached(name) for name in first.outputs) > 80
    first.close()
    store.close()
    again = PrefixStore(2**26, tmp_path, 2**28)
    again.start()
    assert again.disk is not None
    assert again.disk.is_indexed.wait(10)
    second = open_engine(talker, store=again)
    assert_alike(ask(second), alone)
    assert second.worker.stats.cached_tokens_by_tier["disk"] > 4 * 80
    second.close()
    again.close()


def test_parked_answers_are_the_same(talker: Model, alone: dict[str, Spoken]) -> None:
    rig = open_engine(talker, kv_size=512, store=PrefixStore(2**26))
    park_often(rig)
    assert_alike(ask(rig), alone)
    stats = rig.worker.stats
    assert stats.preemptions > 20
    assert stats.recomputed_tokens == 0
    rig.close()


def park_often(rig: SteppedEngine) -> None:
    """What is live gives way for somebody in the queue at every third step."""
    worker, steps = rig.worker, itertools.count()
    plan = worker._plan  # pyright: ignore[reportPrivateUsage]

    def plan_and_park() -> Step:
        victim = worker._scheduler.victim()  # pyright: ignore[reportPrivateUsage]
        if victim is not None and victim.computed and next(steps) % 3 == 0:
            worker._park(victim)  # pyright: ignore[reportPrivateUsage]
        return plan()

    worker._plan = plan_and_park  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("method", ["ngram", "model"])
def test_guessed_answers_are_the_same(
    talker: Model, alone: dict[str, Spoken], method: DraftMethod
) -> None:
    """A draft knows nothing of adapters: more of its guesses are wrong, and no answer is."""
    rig = open_engine(talker, speculation=method)
    assert_alike(ask(rig), alone)
    stats = rig.worker.stats
    assert stats.drafted_tokens > stats.accepted_tokens > (50 if method == "model" else 0)
    rig.close()
