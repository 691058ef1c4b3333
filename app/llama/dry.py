"""DRY: llama.cpp's penalty on tokens that would go on repeating what was said before."""

import ctypes
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from app.core.requests import SamplingParams
from app.llama.bindings import lib
from app.llama.candidates import CandidateArray
from app.llama.rows import Float32Array
from app.llama.seen import SeenTokens
from app.llama.vocabulary import Vocabulary

_KEPT = 16

_Key = tuple[float, float, int, int, tuple[str, ...]]


class Dry:
    """DRY for one sequence. Only tokens of its window can change, so llama.cpp's stage sees no
    others; over the whole vocabulary it takes a millisecond a row."""

    def __init__(self, stage: Any, window: int, prompt: Sequence[int]) -> None:
        """Takes `stage` over. `window`: how many of the last tokens count; at least 1."""
        self._stage = stage
        self._seen = SeenTokens(window, prompt)
        self._candidates = CandidateArray()
        for token in prompt[-window:]:
            lib.llama_sampler_accept(stage, token)

    def accept(self, token: int) -> None:
        self._seen.add(token)
        lib.llama_sampler_accept(self._stage, token)

    def apply(self, row: Float32Array) -> None:
        """Change the logits `row`, shape (vocabulary size,), in place."""
        self._candidates.rewrite(self._stage, self._seen.tokens, row)

    def close(self) -> None:
        """Free the stage; idempotent."""
        if self._stage:
            lib.llama_sampler_free(self._stage)
            self._stage = None


class DryStages:
    """The stages of one context, kept for their tables.

    Making one compares every sequence breaker with every token of the vocabulary: tens of
    milliseconds at 150,000 tokens, in which no stream would move. A copy of one that exists is
    cheap.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._kept: OrderedDict[_Key, Any] = OrderedDict()

    def make(self, params: SamplingParams, window: int) -> Any:
        """A fresh stage that looks at the last `window` tokens; free it."""
        key = (
            params.dry_multiplier,
            params.dry_base,
            params.dry_allowed_length,
            window,
            params.dry_sequence_breakers,
        )
        if key not in self._kept:
            self._kept[key] = self._build(params, window)
            if len(self._kept) > _KEPT:
                lib.llama_sampler_free(self._kept.popitem(last=False)[1])
        self._kept.move_to_end(key)
        return lib.llama_sampler_clone(self._kept[key])

    def close(self) -> None:
        """Free what is kept; copies live on."""
        while self._kept:
            lib.llama_sampler_free(self._kept.popitem()[1])

    def _build(self, params: SamplingParams, window: int) -> Any:
        breakers = [text.encode("utf-8") for text in params.dry_sequence_breakers]
        return lib.llama_sampler_init_dry(
            self._vocabulary.handle,
            params.dry_multiplier,
            params.dry_base,
            params.dry_allowed_length,
            window,
            (ctypes.c_char_p * len(breakers))(*breakers),
            len(breakers),
        )
