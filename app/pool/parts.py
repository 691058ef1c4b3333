"""The two parts of a model in memory: its weights, and the contexts that compute with them."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from app.catalog.entries import ModelEntry
from app.config.settings import Settings
from app.core.errors import ModelLoadFailed, OutOfMemory, UnsupportedOperation
from app.engine.runtime import Runtime
from app.llama.context import ContextOptions, LlamaRuntime
from app.llama.footprint import count_buffers, lacked_memory
from app.llama.grammar import grammar_tokenizer
from app.llama.library import listen
from app.llama.model import Model, ModelOptions
from app.pool.contexts import context_options
from app.pool.devices import draft_options, model_options
from app.pool.templates import Templates, make_templates

MakeRuntime = Callable[[Model, ContextOptions], Runtime]
GoesOn = Callable[[float], bool]
"""Told of the share that is loaded, 0 to 1; False stops it."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Weights:
    """What stays of a model while it is warm.

    `models`: one for each replica, the same where they compute on the same devices; `drafts` as
    well, none where it has no draft. `grammar` and `templates` are there where it generates.
    """

    models: tuple[Model, ...]
    drafts: tuple[Model, ...]
    grammar: Any
    templates: Templates | None

    @property
    def first(self) -> Model:
        """The one to ask for what all have in common."""
        return self.models[0]

    @property
    def generates(self) -> bool:
        return self.grammar is not None

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(model.size for model in self._different)

    def close(self) -> None:
        """Free them; every context must be closed before. Idempotent."""
        for model in self._different:
            model.close()

    @property
    def _different(self) -> tuple[Model, ...]:
        return tuple(dict.fromkeys((*self.models, *self.drafts)))


@dataclass(frozen=True, slots=True)
class Contexts:
    """What one replica computes with, in `memory` bytes."""

    runtime: Runtime
    draft: LlamaRuntime | None
    memory: int

    def close(self) -> None:
        if self.draft is not None:
            self.draft.close()
        self.runtime.close()


def load_weights(settings: Settings, entry: ModelEntry, goes_on: GoesOn) -> Weights:
    """Blocks for as long as the disk needs. Raises ModelLoadFailed, OutOfMemory, and
    UnsupportedOperation for a model that cannot be served."""
    options = model_options(settings, entry)
    different = tuple(dict.fromkeys(options))
    with ExitStack() as undo:

        def load(one: ModelEntry, its: ModelOptions, told: GoesOn | None) -> Model:
            model, _ = _noting_memory(lambda: Model.load(one.path, its, told))
            undo.callback(model.close)
            for adapter in one.lora:
                _noting_memory(partial(model.load_adapter, adapter.info.name, adapter.path))
            return model

        def part(index: int) -> GoesOn:
            return lambda share: goes_on((index + share) / len(different))

        loaded = {its: load(entry, its, part(index)) for index, its in enumerate(different)}
        first, drafts = loaded[options[0]], dict[ModelOptions, Model]()
        _check_kind(entry, first)
        generates = first.is_generator
        if generates and entry.draft is not None:
            drafts = {
                its: load(entry.draft, draft_options(settings, entry.draft, its), None)
                for its in different
            }
            _check_draft(entry.draft, drafts[options[0]], first)
        grammar = grammar_tokenizer(first.vocabulary) if generates else None
        templates = make_templates(entry, first.vocabulary) if generates else None
        undo.pop_all()
    return Weights(
        models=tuple(loaded[its] for its in options),
        drafts=tuple(drafts[its] for its in options) if drafts else (),
        grammar=grammar,
        templates=templates,
    )


def make_contexts(
    settings: Settings,
    entry: ModelEntry,
    weights: Weights,
    replica: int,
    make_runtime: MakeRuntime = LlamaRuntime,
) -> Contexts:
    """Of the replica of that number. Raises ModelLoadFailed or OutOfMemory; frees what it made
    when a later part fails."""
    options = context_options(settings, entry)
    with ExitStack() as undo:

        def make() -> tuple[Runtime, LlamaRuntime | None]:
            runtime = make_runtime(weights.models[replica], options)
            undo.callback(runtime.close)
            if not weights.drafts:
                return runtime, None
            draft = LlamaRuntime(weights.drafts[replica], options)
            undo.callback(draft.close)
            return runtime, draft

        (runtime, draft), memory = _noting_memory(make)
        if draft is not None and not draft.memory.is_cuttable:
            raise ModelLoadFailed(
                f"The draft of the model '{entry.id}' cannot take guesses back: its memory is "
                f"{draft.memory.kind}. Please use one with plain attention."
            )
        undo.pop_all()
    return Contexts(runtime, draft, memory)


def _noting_memory(make: Callable[[], T]) -> tuple[T, int]:
    """What `make` makes, and the bytes of the buffers that llama.cpp's log speaks of. Raises
    OutOfMemory where that is why llama.cpp failed."""
    with listen() as lines:
        try:
            return make(), count_buffers(lines)
        except ModelLoadFailed as error:
            if lacked_memory([*lines, error.message]):  # an adapter's lines are in the message
                raise OutOfMemory(error.message) from error
            raise


def _check_kind(entry: ModelEntry, model: Model) -> None:
    if model.has_encoder and model.has_decoder:
        raise UnsupportedOperation(
            f"The model '{entry.id}' cannot be served: models with an encoder and a "
            f"decoder ({model.architecture}) are not supported. Please choose another.",
            param="model",
        )


def _check_draft(entry: ModelEntry, draft: Model, target: Model) -> None:
    """Raises ModelLoadFailed where it cannot guess for `target`."""
    if not draft.vocabulary.is_same_as(target.vocabulary):
        raise ModelLoadFailed(
            f"The draft {entry.path.name} has another vocabulary than its model: it cannot guess "
            f"for it."
        )
